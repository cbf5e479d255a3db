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

### Recipe, lock, store, ledger

recipe-missing = There is no recipe (kwaya.toml) in { $path }
    .remedy = Make one with: kwaya new { $path } --from FOLDER --language sw
recipe-too-large = The recipe { $path } has { $bytes } bytes, which is too long for a recipe
    .remedy = Check that this is the right file.
recipe-wrong = The recipe { $path } has a mistake:
    { $cause }
    .remedy = Correct that line and run the same command again.
recipe-value = The recipe { $path } says { $key } = { $value }, which cannot be followed
    .remedy = Allowed: { $allowed }
recipe-exists = There is already a recipe in { $path }
    .remedy = Edit it, or choose another folder for the new one.
lock-wrong = The lock { $path } cannot be read:
    { $cause }
    .remedy = Make it anew with: kwaya plan
lock-version = The lock { $path } was made by another version of Kwaya (it says { $found }; this program knows { $known })
    .remedy = Use the version that made it to get the same bits, or make a new lock with: kwaya plan
lock-documents = The documents have changed since the plan in { $path } was made
    .remedy = Plan again with: kwaya plan { $folder }, or put the documents back as they were.
lock-recipe = The recipe has changed since the plan in { $path } was made
    .remedy = Plan again with: kwaya plan { $folder }
ledger-broken = Line { $line } of the ledger { $path } is not as it was written
    .remedy = Somebody or something changed the file. Put a copy back, or move the build folder away and build again.
folder-busy = Another build is at work in { $path } (process { $process })
    .remedy = Wait until it ends, or stop it; then run the same command again.
corpus-too-small = The documents hold { $found } of text after cleaning; at least { $needed } are needed to train a model
    .remedy = Add more documents to the folders that the recipe names. `kwaya corpus dropped` shows what was left out, and why.
time-too-short = { $within } is too short to train anything on this machine; { $needed } would do
    .remedy = Give more time: --within { $needed }
memory-too-short = Training would need { $needed } of memory; { $free } is free
    .remedy = Close other programs, or choose a smaller model in the recipe ([train] hidden_size, layers).

### Model

model-config-malformed = { $path } is not the configuration of a model: { $cause }
    .remedy = Get the file again from where the model came from.
model-config-value = The model's { $key } is { $value }; possible here: { $possible }
    .remedy = Use a model of the Llama family in its plain form, or correct { $key } in config.json.
model-too-short = { $path } holds { $bytes } bytes of weights where its config.json needs { $needed }
    .remedy = The two files do not belong together, or the copy is not complete: copy the folder again.
model-tensor-missing = { $path } lacks the weights { $tensor }
    .remedy = The file does not belong to its config.json: get the folder again from where the model came from.
model-tensor-wrong = In { $path } the weights { $tensor } are { $found } where { $expected } is needed
    .remedy = Get the model in 32-bit floats (F32), with the config.json that belongs to it.
tensors-damaged = { $path } is damaged or not a safetensors file: { $cause }
    .remedy = Copy the file again from where it came from.
session-empty = There is no text to go on from
    .remedy = Give at least one word.
session-full = The text is too long: { $tokens } more tokens do not fit, there is room for { $left }
    .remedy = Shorten the text or begin a new one.
session-token = The token { $token } is outside the model's vocabulary of { $vocabulary }
    .remedy = Use the tokenizer.json that belongs to the model.

### Training

train-steps = Training
train-score = Measuring on held-out text
train-figures = loss { $loss }, { $speed } tokens/s
train-nothing = There is no text to train on
    .remedy = Add documents, or look at what was left out and why: kwaya corpus dropped.
train-vocabulary = The token file has { $tokens } different tokens, the model only { $model }
    .remedy = Run kwaya plan again, so that both come from one plan.
train-not-finite = Training broke down at step { $step }: the loss is { $loss } at learning rate { $rate }, and { $tensor } is not finite
    .remedy = Halve the learning rate in the recipe, run kwaya plan again, and build again.
schedule-value = In the training plan { $key } cannot be { $value }
    .remedy = Correct it in the recipe and run kwaya plan again.
token-file-wrong = { $path } is not a file of tokens: wrong { $what }
    .remedy = Delete the file and build again; it will be made anew.
token-file-unfit = The token file does not fit the model: { $what }
    .remedy = Use the tokenizer.json that belongs to the model.
checkpoint-damaged = The checkpoint { $path } is damaged
    .remedy = Delete it and build again; training goes on from the one before.
checkpoint-foreign = The checkpoint { $path } belongs to another training
    .remedy = Move it away, or go back to the plan and the documents it was made with.
checkpoint-passed-over = { $path } was passed over: { $cause }
