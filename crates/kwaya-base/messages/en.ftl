# What Kwaya says, in English. One file per language; keys are the same in all.
# An error has a text and, as the attribute "remedy", what to do next.

### Files

io-not-found = There is no file or folder { $path }
    .remedy = Check the name and the place.
io-permission = No permission to use { $path } ({ $cause })
    .remedy = Give yourself the right to read and write there, or choose another folder.
io-disk-full = The disk is full: { $path } could not be written
    .remedy = Free some space and run the same command again; finished work is kept.
io-other = { $path } could not be used: { $cause }
    .remedy = Check the disk and run the same command again; finished work is kept.

interrupted = Stopped on request
    .remedy = Run the same command again to go on from here.
