# The pages of `kwaya serve`, in English. Every other language in this folder
# has the same messages with the same values; a test holds them to it.

### On every page

skip = Skip to the content
rooms = Rooms
room-overview = Overview
room-data = Data
room-training = Training
room-try = Try
language = Language
signed-in = Signed in as { $name }
sign-out = Sign out
stays-here = What you write here stays on this machine.
made-with = Made with Kwaya { $version }
next-page = Next page
previous-page = Previous page
page-number = Page { $page }
nothing-here = There is nothing here.
show = Show
all = All

### Figures

documents = { $count ->
        [one] { $count } document
       *[other] { $count } documents
    }
files = { $count ->
        [one] { $count } file
       *[other] { $count } files
    }
tokens = { $count ->
        [one] { $count } token
       *[other] { $count } tokens
    }
size-bytes = { $count ->
        [one] { $count } byte
       *[other] { $count } bytes
    }
size-kb = { $count } kB
size-mb = { $count } MB
size-gb = { $count } GB
seconds = { $count } s
minutes = { $minutes } min { $seconds } s
hours = { $hours } h { $minutes } min
percent = { $count } %
month = { $month ->
        [1] January
        [2] February
        [3] March
        [4] April
        [5] May
        [6] June
        [7] July
        [8] August
        [9] September
        [10] October
        [11] November
       *[12] December
    }
day = { $day } { $month } { $year }
moment = { $day }, { $time } UTC

### Overview

overview-lead = A language model on this machine. Nothing that you ask it leaves the building.
overview-built = Built here on { $day } from { $documents }.
overview-try = Try it
overview-model = The model
model-weights = Weights
model-context = Reads at once
model-vocabulary = Vocabulary
model-layers = Layers
model-family = Family
overview-from = What it was built from
from-documents = Documents
from-text = Text
from-languages = Languages
from-licences = Licences
from-uses = Meant for
from-hash = Fingerprint of the documents
use-any = anything
use-research = research
use-education = education
use-health-care = health care
use-public-service = public service
use-commercial = commercial use
overview-quality = How well it knows the languages
quality-meaning = Bits for each byte of text that it had never seen: the fewer, the better it knows the language. Beside it, a program that only compresses, and the model before its training.
quality-language = Language
quality-trained = This model
quality-compressor = Compressor
quality-before = Before
overview-now = Right now
now-writing = Answers under way
now-waiting = Waiting
now-written = Written since the start
now-read = Read since the start
now-since = Running since
model-changed = The files of the model have changed since it was loaded. Answers are those of the model as it was. Start the server again to use the new files.
overview-machine = This machine
machine-processor = Processor
machine-threads = Threads in use
machine-instructions = Instructions
machine-memory = Memory
machine-disk = Disk
free-of = { $free } free of { $all }
free = { $free } free
overview-programs = For other programs
programs-meaning = Every program that speaks the API of OpenAI can use this model. It needs this address:
link-api = Description of the API
link-model-card = Card of the model
link-data-card = Card of the data
link-report = Report of the build

### Data

data-lead = { $documents } with { $size } of text, taken from { $files }.
data-browse = Look at the documents
data-left-out = Left out
data-languages = Languages
data-language = Language
data-documents = Documents
data-text = Text
data-share = Share
data-held-out = Kept for measuring
data-sources = Sources and their licences
source-licence = Licence
source-by = Allowed by
source-on = Since
source-until = Until
source-no-end = no end
source-for = For
data-dropped = What was left out, and why
data-dropped-lead = { $documents } were left out. Each reason leads to what it left out.
data-dropped-none = Nothing was left out.
dropped-reason = Reason
data-limits = What is asked of a text
limits-lead = Every text is measured. One that is far outside what is usual in its language is left out.
limits-of = Limits for { $language }
limit-low = At least
limit-high = At most
limit-from = Where from
limit-beyond = Texts beyond
origin-stated = the recipe
origin-published = research
origin-learned = learned here
origin-moved = learned, then eased
data-lengths = How long the documents are
length-between = { $low } to { $high }
data-formats = Formats
format = Format
data-private = Personal data that was replaced
kind = Kind
places = Places
private-email = E-mail addresses
private-phone = Telephone numbers
private-card = Payment cards
private-iban = Bank accounts
private-ip = Network addresses
private-coordinates = Coordinates
private-id = Identity numbers
private-money = Money accounts and codes
private-name = Names
twin-of = Kept instead: { $name }

### A document

document-size = Size
document-source = Source
document-done = What was done to it
document-passage = Go to the passage
step-extract = Text taken from { $format } ({ $size })
step-decode = Read in the encoding { $encoding }
step-mend = Mended: { $characters } characters, { $words } words
step-normalise = Set in order: { $before } before, { $after } after
step-cut = Piece { $piece } of { $pieces } of a long text
step-identify = Language found: { $language } ({ $percent } sure)
step-lines = { $lines } lines of menus and the like taken out
step-paragraphs = { $size } in other languages left out
step-redact = { $places } places with personal data replaced
step-repeated = { $paragraphs } paragraphs that other documents have left out
role-user = Person
role-assistant = Model
role-system = Instruction

### Training

training-building = A build is at work now.
training-idle = No build is at work now.
training-stages = Steps of the build
stage = Step
stage-corpus = Read and choose documents
stage-tokenizer = Make the vocabulary
stage-extend = Add words to the vocabulary
stage-tokenize-base = Measure the old vocabulary
stage-tokenize = Turn text into tokens
stage-train = Train
stage-merge = Merge what was learned
stage-evaluate = Measure the model
stage-done = Done
stage-next = Not yet
stage-at = { $step } of { $steps }, about { $left } left
training-curve = How the model learns
curve-meaning = The lower the line, the better the model predicts the next piece of text.
curve-training = Text that it trains on
curve-held-out = Text that it has never seen
curve-tokens = { $count } tokens read
curve-none = The curve appears when a training begins.
curve-figures = The same in figures
training-look-again = Look again
training-cost = Forecast and truth
cost-forecast = Forecast
cost-truth = Truth
cost-time = Time
cost-memory = Memory
cost-disk = Disk
cost-speed = Speed
per-second = { $count } tokens a second
training-samples = What it wrote by itself
samples-meaning = The words in bold were given; the model went on from there.

### Try

try-chat = Chat
try-ask = Ask the documents
try-classify = Classify
chat-lead = Talk with { $model }.
chat-warning = It can be wrong. Check what matters.
chat-message = Your message
chat-send = Send
chat-stop = Stop
chat-new = New chat
chat-you = You
chat-model = Model
chat-cut = The answer was cut at its greatest length.
chat-failed = The answer broke off.
ask-lead = The answer comes from the documents, and says from which.
ask-question = Your question
ask-send = Ask
ask-sources = Passages
ask-none = The documents do not say.
ask-quoted = In the words of the documents:
ask-unsupported = The model also said this, which no passage supports:
classify-lead = The text gets the label that suits it best.
classify-text = Your text
classify-send = Classify
classify-result = Label
classify-unsure = Not sure: no label stands out.
classify-likely = How likely
classify-because = Words that spoke for it

### Signing in

sign-in = Sign in
sign-in-lead = Whoever runs this server gives you a token.
sign-in-token = Token
sign-in-wrong = That token is not known here. Check that it was copied whole, or ask for another.

### When something is not possible

error-path = There is nothing at this address
    .remedy = The link may be old, or a letter wrong. Begin again from the overview.
error-host = This server is for this computer alone
    .remedy = Open it at http://localhost with its port.
error-role = Your token does not allow this
    .remedy = Ask whoever runs the server for the right to do it.
error-rate = Too many requests in a short time
    .remedy = Wait a minute, then try again.
error-full = Many others are waiting for answers
    .remedy = Try again in a minute.
error-making = The documents are being made ready
    .remedy = Try again in a minute.
error-stopping = The server is about to stop
    .remedy = Try again in a few minutes.
error-forged = This form is too old, or did not come from this page
    .remedy = Open the page again and send it once more.
error-long = That is too long
    .remedy = Send less text, or begin a new chat.
error-slow = The answer took too long
    .remedy = Ask for something shorter, or try again later.
error-form = The form was not filled in as it has to be
    .remedy = Go back and fill it in again.
error-document = This document is not in the corpus
    .remedy = It may have been taken back, or the corpus was built anew.
error-method = This address is not used in this way
    .remedy = Begin again from the overview.
error-internal = Something went wrong in the server
    .remedy = Try again. If it goes on, tell whoever runs the server.

### Why something was left out

reason-empty = The file is empty
reason-too-large = The file is too large
reason-unreadable = The file could not be opened
reason-special-file = Not a document but a device or a pipe
reason-link-loop = A link back to a folder already read
reason-withdrawn = Somebody took it back
reason-picture = A picture
reason-unknown-format = A format that cannot be read
reason-damaged = The file is damaged
reason-encrypted = It is locked with a password
reason-no-text = A PDF of pictures, without text
reason-unreadable-font = A PDF whose letters cannot be told
reason-time-limit = Reading it took too long
reason-not-text = Not running text
reason-bad-line = A line with neither a text nor a chat
reason-bad-member = A locked or unsafe part of an archive
reason-archive-limit = An archive with far too much in it
reason-no-column = A table without a column of text
reason-no-document = A redirect, an error page or the like
reason-too-short = The text is too short
reason-other-language = In a language that is not wanted
reason-contaminated = Has a passage of a test text
reason-exact-duplicate = The same text as another document
reason-near-duplicate = Nearly the same text as another document
reason-repeated-paragraphs = Only paragraphs that other documents have
reason-boilerplate = Mostly lines that many pages of its source have
reason-few-words = Too few words
reason-few-sentences = Too few sentences
reason-mean-word-length = Words unusually short or long
reason-letters = More figures and signs than letters
reason-alphabetic-words = Too many words without a letter
reason-symbol-ratio = Too many # or …
reason-bullet-lines = Nearly all lines are points of a list
reason-ellipsis-lines = Many lines are cut off with …
reason-curly-brackets = Curly brackets, as in programs
reason-lorem-ipsum = Filler text (lorem ipsum)
reason-unended-lines = Nearly no line ends as a sentence
reason-short-lines = Most lines are very short
reason-line-breaks = Too many lines for its words
reason-duplicate-lines = Many lines more than once
reason-duplicate-line-characters = Much of the text in repeated lines
reason-duplicate-paragraphs = Many paragraphs more than once
reason-duplicate-paragraph-characters = Much of the text in repeated paragraphs
reason-top-ngram = A few words again and again
reason-duplicate-ngrams = Much of the text in repeated phrases
reason-stop-words = Hardly any common words of the language
reason-word-order = Words in an order unlike the language
reason-gibberish = Letters in an order unlike the language
reason-word-list = Too many words of your word lists
