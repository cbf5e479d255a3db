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
recipe-together = The recipe { $path } says { $key }, which does not go with the rest: { $needs ->
        [base] it is about teaching a model that exists, and no base is named
        [lora] it is about adapters, and the method is another
        [redact] it is about finding personal data, and redact = false leaves all of it in the text
       *[other] the sizes are those of the base
    }
    .remedy = { $needs ->
        [base] Write base = "MODEL" under [train], or take { $key } away.
        [lora] Write method = "lora" under [train], or take { $key } away.
        [redact] Write redact = true under [corpus], or take { $key } away.
       *[other] Take { $key } away, or take base away to train a model from nothing. For a larger vocabulary: new_tokens.
    }
recipe-exists = There is already a recipe in { $path }
    .remedy = Edit it, or choose another folder for the new one.
lock-wrong = The lock { $path } cannot be read:
    { $cause }
    .remedy = Make it anew with: kwaya plan { $folder }
lock-version = The lock { $path } was made by another version of Kwaya (it says { $found }; this program knows { $known })
    .remedy = Use the version that made it to get the same bits, or make a new lock with: kwaya plan { $folder }
lock-documents = The documents have changed since the plan in { $path } was made
    .remedy = Plan again with: kwaya plan { $folder }, or put the documents back as they were.
lock-recipe = The recipe has changed since the plan in { $path } was made
    .remedy = Plan again with: kwaya plan { $folder }
lock-base = The base is not the one that the plan in { $path } was made with
    .remedy = Put that model back, or plan again with: kwaya plan { $folder }
ledger-broken = Line { $line } of the ledger { $path } is not as it was written
    .remedy = Somebody or something changed the file. Put a copy back, or move the build folder away and build again.
folder-busy = Another build is at work in { $path } (process { $process })
    .remedy = Wait until it ends, or stop it; then run the same command again.
corpus-too-small = The documents hold { $found } of text after cleaning; at least { $needed } are needed to train a model
    .remedy = Add more documents to the folders that the recipe names. `kwaya corpus dropped` shows what was left out, and why.
time-too-short = { $within } is too short to train anything on this machine; { $needed } would do
    .remedy = Give more time: --within { $needed }
memory-too-short = The training that the recipe asks for needs { $needed } of memory; { $room } may be used, and { $free } are free
    .remedy =
        Close other programs and run the same command again; or write this in the recipe under [train], for a model of { $millions } million weights that needs { $fits }:
        { $lines }
memory-lock = The plan in { $path } needs { $needed } of memory; { $room } may be used, and { $free } are free
    .remedy =
        Close other programs and run the same command again, or build on a machine with more memory: it gives the same bits. Or write this in the recipe under [train], for a model of { $millions } million weights that needs { $fits }, and run kwaya plan { $folder }:
        { $lines }
memory-none = { $needed } of memory are needed; { $room } may be used, and { $free } are free. No model is small enough for that
    .remedy = Close other programs, allow more with --memory, or build on a machine with more memory.
memory-base = To teach the base in this way takes { $needed } of memory; { $room } may be used, and { $free } are free
    .remedy =
        Close other programs and run the same command again. Or write this in the recipe under [train], which takes { $fits }, and plan again:
        { $lines }
memory-base-none = To teach the base takes { $needed } of memory; { $room } may be used, and { $free } are free
    .remedy = Close other programs, allow more with --memory, or take a smaller base, such as one that is quantised: a GGUF file in Q4_0 or Q8_0.
memory-wrong = { $value } is not an amount of memory
    .remedy = Write it as 800MB, 2GB or 1.5GB.

### Model

model-config-malformed = { $path } is not the configuration of a model: { $cause }
    .remedy = Get the file again from where the model came from.
model-config-value = The model's { $key } is { $value }; possible here: { $possible }
    .remedy = Get the model again from where it came from; if { $key } is the same there, use another model.
model-config-missing = The configuration of the model lacks { $key }
    .remedy = Get the model again from where it came from.
model-family-unknown = The model is of the family { $family }, which is not known here; known are { $known }
    .remedy = Use a model of one of those families.
model-file-unknown = { $path } is neither a folder with a model nor a GGUF file
    .remedy = Name the folder that holds config.json and model.safetensors, or a file that ends in .gguf.
model-pickle = { $path } is in the pickle format of Python, which can run any program on your computer when it is read. Kwaya never reads it
    .remedy = Get the model as safetensors. If you trust where it came from, convert it in Python: AutoModelForCausalLM.from_pretrained("OLD").save_pretrained("NEW").
model-split = { $path } is one of several parts of a GGUF file
    .remedy = Join the parts with: llama-gguf-split --merge FIRST-PART WHOLE.gguf
model-weights-missing = There is no model.safetensors in { $path }
    .remedy = Copy the whole folder from where the model came from.
model-index-malformed = { $path } is not the index of a model: { $cause }
    .remedy = Get the file again from where the model came from.
model-index-shard = { $path } names { $shard }, which is not a safetensors file in the same folder
    .remedy = Do not use this model, unless you know who made it: get it again from where it came from.
model-shard-missing = The part { $path } of the model is missing
    .remedy = The copy is not complete: copy the whole folder from where the model came from.
model-tensor-twice = The weights { $tensor } in { $path } are there twice
    .remedy = Get the model again from where it came from.
model-tensor-extra = { $path } has the weights { $tensor }, which a model of its configuration does not have
    .remedy = The file does not belong to its configuration: get the folder again from where the model came from.
model-not-finite = The tensor { $tensor } of { $path } holds numbers that are infinite or none
    .remedy = The file is damaged, or the model was. Fetch it again, or use another.
model-too-short = { $path } holds { $bytes } bytes of weights where its config.json needs { $needed }
    .remedy = The two files do not belong together, or the copy is not complete: copy the folder again.
model-tensor-missing = { $path } lacks the weights { $tensor }
    .remedy = The file does not belong to its config.json: get the folder again from where the model came from.
model-tensor-wrong = In { $path } the weights { $tensor } are { $found } where { $expected } is needed
    .remedy = Get the model in a format that is needed, with the config.json that belongs to it.
lora-value = The adapter's { $key } is { $value }; possible here: { $possible }
    .remedy = Choose another { $key }; if the adapter came from elsewhere, use another one.
train-family = { $path } is a model of the family { $family }: small added matrices (adapters) can be learned for it, but not all of its weights
    .remedy = Write method = "lora" under [train], or leave that line out.
lora-too-short = { $path } has { $bytes } bytes, which is less than its adapter_config.json needs for this model
    .remedy = The two files do not belong together, or the adapter was made for another model: copy the folder again.
adapter-alone = { $path } holds adapters, which do nothing without the model that they were made for: { $base }
    .remedy = Make one model of both: kwaya import MODEL OUT --adapter { $path }
adapter-missing = There are no adapters in { $path }
    .remedy = Name the folder of a recipe that was built with base and method = "lora" under [train].
base-without-end = The base names no token that ends a text
    .remedy = Use another base.
lora-unfit = The adapter was made for a model of other sizes
    .remedy = Use the adapter with the model that it was made for.
tensors-damaged = { $path } is damaged or not a safetensors file: { $cause }
    .remedy = Copy the file again from where it came from.
gguf-damaged = { $path } is damaged or not a GGUF file, at { $field }: { $cause }
    .remedy = Copy the file again from where it came from.
gguf-short = { $path } is shorter than its header says: at least { $missing } bytes are missing
    .remedy = It was not fetched or copied to its end: fetch the file again.
gguf-version = { $path } is a GGUF file of version { $found }; versions 2 and 3, little-endian, can be read
    .remedy = Get a newer file of the same model.
gguf-type = In { $path } the weights { $tensor } are stored as { $found }, which cannot be read
    .remedy = Get the model in one of: { $possible }.
gguf-key-missing = { $path } does not say { $field }, which is needed
    .remedy = The file is not a whole model: get it again, or another file of the same model.
gguf-key-type = In { $path } { $field } is { $found } where { $expected } is needed
    .remedy = Get another file of the same model.
session-empty = There is no text to go on from
    .remedy = Give at least one word.
session-memory = The memory for conversations, { $bytes } bytes, is full
    .remedy = End a conversation, or shorten the text.
session-full = The text is too long: { $tokens } more tokens do not fit, there is room for { $left }
    .remedy = Shorten the text or begin a new one.
session-token = The token { $token } is outside the model's vocabulary of { $vocabulary }
    .remedy = Use the tokenizer.json that belongs to the model.

tokenizer-missing = { $path } has no tokenizer, which turns text into the numbers that the model reads
    .remedy = Get the whole model: in a folder, tokenizer.json lies beside config.json.

### Models in and out

exchange-exists = There is already something at { $path }
    .remedy = Choose another name, or move it away.
exchange-disk = The disk of { $path } has { $free } free; { $needed } are needed
    .remedy = Free some space, write to another disk, or choose smaller numbers.
exchange-format = A model cannot be stored as { $value } here
    .remedy = Choose one of: { $known }.
exchange-range = In { $path } the weights { $tensor } have the value { $value }, which { $format } cannot hold
    .remedy = Store them as F32 or BF16; if the value is no number there, the file is damaged: get it again.
exchange-unsayable = The model in { $path } has a { $key } of its own, which such a file cannot state
    .remedy = Use the model as it is: kwaya chat and kwaya generate read it.
exchange-weights = Writing the weights
exchange-done =
    Wrote { $path }: { $count } weights, { $formats }
    Weights take { $after }; before they took { $before }
exchange-left-out = Left out, because the model does not use it: { $tensors }
exchange-measured = Bits per byte on { $file }, lower is better: { $before } before, { $after } now
exchange-adapter = Wrote { $path }: adapters in the format of PEFT, { $after }
exchange-next = Next: kwaya chat { $path }
inspect-figures =
    Family      { $family }, { $weights } weights
    Shape       { $layers } layers of width { $hidden }, feed-forward { $intermediate }; { $heads } heads of { $head_dim }, { $kv_heads } for keys and values
    Tokens      { $vocabulary }; { $output }
    Reads       texts of up to { $context } tokens{ $window }
    Stored      { $formats }
    Tokenizer   { $tokenizer }
    Licence     { $licence }
    To answer   { $answer } of memory for the weights, and { $cache } for each 1,000 tokens of a conversation
    To train    { $training }
inspect-format = { $format }: { $tensors } matrices or vectors, { $weights } weights, { $bytes }
inspect-tied = the output is the same table as the input
inspect-untied = the output has a table of its own
inspect-window = ; { $layers } layers look back only { $window } tokens
inspect-tokenizer = { $kind }, { $tokens } tokens, without a chat template: it continues text
inspect-tokenizer-chat = { $kind }, { $tokens } tokens, with a chat template
inspect-tokenizer-none = none that can be used: { $cause }
inspect-no-licence = none is stated in the files: ask whoever made the model before you pass it on
inspect-training = Kwaya can train it further: about { $full } of memory for all weights, about { $adapter } for small added matrices (adapters)
inspect-training-adapter = Kwaya can train small added matrices (adapters) for it, with about { $adapter } of memory, but not all of its weights
eval-line = Line { $line } of { $path } cannot be used: { $cause }
    .remedy = A line holds "text" and "language", or "question", "choices" and "answer" (its number from 0 on, or its words), or "prompt" and "answer".
eval-text = { $language } { $bits } bits per byte on { $texts ->
        [one] 1 text
       *[other] { $texts } texts
    }, { $bytes }; lower is better
eval-choices = Questions with choices, { $questions }: { $right } % right by likelihood, { $by_length } % by likelihood for each byte
eval-exact = Questions with an answer, { $questions }: { $right } % answered with the very words
measure-text = Measuring on the text
measure-short = The text is too short: there is nothing in it for the model to guess
    .remedy = Give a text of at least a few sentences.

### Training

train-steps = Training
train-score = Measuring on held-out text
train-score-before = Measuring the same before the training, to compare
train-figures = loss { $loss }, { $speed } tokens/s
train-nothing = There is no text to train on
    .remedy = Add documents, or look at what was left out and why: kwaya corpus dropped.
train-vocabulary = The token file has { $tokens } different tokens, the model only { $model }
    .remedy = Run kwaya plan again, so that both come from one plan.
train-not-finite =
    Training broke down at step { $step }: the loss is { $loss } at learning rate { $rate }, and { $tensor } is no longer made of numbers. { $kept ->
        [0] There is no good state from before it.
       *[other] The last good state, step { $kept }, is kept in { $folder }
    }
    .remedy = In the recipe, under [train], write learning_rate = { $lower }; then kwaya plan and kwaya build.
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
checkpoint-version = The checkpoint { $path } was written by another version of Kwaya (its format is { $found }; this program knows { $known })
    .remedy = Finish the training with the version that began it, or move the checkpoint away to begin the training anew.
checkpoint-passed-over = { $path } was passed over: { $cause }

### Several processes

rank-failed = Process { $rank } on { $host } cannot train with the others: { $cause }
    .remedy = Every machine needs the folder of the recipe as the first one has it now: on a shared disk, or copied. Then run the same command again.
ranks-differ = Process { $rank } on { $host } has another { $what } than the first process: { $there } there, { $here } here
    .remedy = Install the same version of Kwaya on every machine, copy the folder of the recipe from the first machine to the others, and run the same command again.
ranks-what-version = version of Kwaya
ranks-what-plan = plan of the training
ranks-what-training = file of training text
ranks-what-held-out = file of text that is kept out of training
ranks-what-arithmetic = result of the same computation
ranks-work = It does not know the work that it was given: { $cause }
    .remedy = Install the same version of Kwaya on every machine.
ranks-without-mpi = This program was started { $size } times at once, but it was built to work alone
    .remedy = Build it for several processes: cargo install --path crates/kwaya --features mpi. Or start it without mpirun.
ranks-stopping = Asked to stop; all processes end after this step. If nobody asked, mpirun says which process was lost, and the same command goes on from the newest checkpoint.

### Past one machine

cluster-address = { $address } is no address that can be used: { $cause }
    .remedy = Schedulers are named as http://HOST:PORT, what they listen on as IP:PORT, places in object stores as s3://BUCKET/FOLDER, gs://, az:// or https://.
cluster-scheduler-missing = No scheduler answers at { $scheduler }: { $cause }
    .remedy = Start one with: kwaya-cluster scheduler --listen IP:PORT
cluster-no-executor = The scheduler at { $scheduler } has no executors
    .remedy = Start one on each machine with: kwaya-cluster executor --scheduler { $scheduler }. One that was just started needs some seconds.
cluster-engine = The engine below kwaya-cluster failed: { $cause }
    .remedy = Check that the address is free and that the machines reach one another; KWAYA_LOG=info says more.
cluster-failed = The cluster could not do its part: { $cause }
    .remedy = Run the same command again: what is done is not done again. KWAYA_LOG=info in the executors says more.
cluster-lost = The engine says that all is done, but { $name } is not there
    .remedy = Check that all machines see the same work place (--work), then run the same command again.
cluster-version = An executor is another version of this program
    .remedy = Start executors from the same file of kwaya-cluster on all machines.
cluster-recipe = The recipe in { $path }, or a file that it names, is another one on the machine of an executor
    .remedy = Put the folder of the recipe at the same path on all machines: on a shared disk, or copied.
cluster-hash = Listing the documents
cluster-prepare = Preparing documents
cluster-learn = Learning what is usual
cluster-measure = Measuring documents
cluster-scheduler-runs = Scheduler at { $address }; Ctrl-C ends it
cluster-executor-runs = Executor at { $address } for { $scheduler }, with { $threads ->
        [one] 1 thread
       *[other] { $threads } threads
    }; Ctrl-C ends it
cluster-done = { $documents } documents, { $text } of text, in { $folder }
    It took { $time }; the executors worked for { $executors } together, counted for each of their threads.
help-cluster = The corpus of a recipe on several machines, with the same bits as on one
help-cluster-example = Example, each line on a machine of its own, the recipe and its documents on a shared disk:
      kwaya-cluster scheduler --listen 10.0.0.1:50050
      kwaya-cluster executor --listen 10.0.0.2:50051 --scheduler http://10.0.0.1:50050
      kwaya-cluster executor --listen 10.0.0.3:50051 --scheduler http://10.0.0.1:50050
      kwaya-cluster corpus /shared/mymodel --scheduler http://10.0.0.1:50050
    Then kwaya build goes on. Nobody has to prove who they are: for a network of your own.
help-cluster-scheduler = Runs the process that gives executors their work
help-cluster-executor = Runs a process that works
help-cluster-corpus = Makes the corpus of the recipe in DIR, or goes on with it
help-cluster-dir = The folder of the recipe, at the same path on all machines
help-cluster-listen = Where it listens: the IP address and port
help-cluster-scheduler-url = Where the scheduler is: http://HOST:PORT
help-cluster-scheduler-or-none = Where the scheduler is: http://HOST:PORT; without it, the corpus is made on this machine alone
help-cluster-host = The name by which others reach this machine; without it, the address that the scheduler sees
help-cluster-threads = Documents to work on at once; without it, one for each processor
help-cluster-work = Where executors leave what they make: a folder that all machines see, or a place in an object store; without it, DIR/build/cluster
help-cluster-out = A folder or a place in an object store that gets a copy of the corpus
help-cluster-share = Documents that are given away at once, in MB
help-cluster-json = Say it as JSON

### The command line

word-error = error
word-remedy = what to do
help-kwaya = From a folder of documents to a language model that is yours, on this computer, offline
help-kwaya-examples =
    Examples:
      kwaya build examples/maize
      kwaya new mymodel --from ~/documents --language sw
      kwaya plan mymodel --within 30m
      kwaya build mymodel
      kwaya generate mymodel "Mahindi"

    Exit codes: 0 done, 1 failed, 2 wrong use.
help-new = Write a recipe for a folder of documents
help-new-examples =
    Examples:
      kwaya new mymodel --from ~/documents --language sw --language en
      kwaya new mymodel --from ~/documents --language sw --licence CC-BY-4.0 --allowed-by "Gazeti la Mwananchi" --allowed-on 2026-11-25 --use education --use research
      kwaya new mymodel --from ~/documents --language sw --base SmolLM2-135M-Instruct.gguf

    What is not said of the rights to the documents is asked for. Under [train] in the recipe of a base there may also be rank, alpha and targets of the adapters, and new_tokens,
    how many tokens of your language are added to its vocabulary.
help-machine = Measure this machine, and say what it can train and serve
help-machine-examples =
    Examples:
      kwaya machine
      kwaya machine --memory 4GB --threads 2
help-bench = Measure each operation and each shape of training, with its share of the machine's limit
help-bench-examples =
    Examples:
      kwaya bench
      kwaya bench --threads 2 --json

    The hashes, and the bits of the losses, are the same on every machine.
help-plan = Choose sizes for the time and the memory there is, and write kwaya.lock
help-plan-examples =
    Examples:
      kwaya plan mymodel --within 2h
      kwaya plan mymodel --within 1d --memory 3GB
help-build = Do all of it, or go on where it stopped
help-build-examples = Example: kwaya build mymodel
help-status = Say what is done and what is left
help-status-examples = Example: kwaya status mymodel
help-generate = Let a model continue a text
help-generate-examples =
    Examples:
      kwaya generate mymodel "Mahindi yakikauka" --temperature 0.7
      kwaya generate model.gguf "Asha is 31. As JSON:" --json-schema person.json
help-chat = Talk to a model
help-chat-examples =
    Examples:
      kwaya chat mymodel --temperature 0.7
      kwaya chat model.gguf --system "Answer in one sentence."
help-import = Turn a model of another maker into a folder that Kwaya can train further
help-import-examples =
    Examples:
      kwaya import SmolLM2-135M-Instruct.gguf smollm
      kwaya import smollm smollm-half --numbers bf16
      kwaya import model.gguf taught --adapter adapter

    To talk to a model or to let it write, no import is needed: kwaya chat MODEL.gguf works as it is.
help-export = Write a model for other programs: as a GGUF file, smaller if you like, or as a folder
help-export-examples =
    Examples:
      kwaya export mymodel mymodel.gguf --quantise Q8_0
      kwaya export mymodel small.gguf --quantise Q4_K_M --measure held-out.txt
      kwaya export model.gguf folder --format folder
      kwaya export mymodel adapter --adapter-only
help-eval = Measure how well a model predicts texts and answers questions
help-eval-examples =
    Examples:
      kwaya eval mymodel --data held-out.txt
      kwaya eval mymodel --data texts.jsonl questions.jsonl --json

    A .jsonl file has on each line one of these:
      {"{"}"text": "…", "language": "sw"{"}"}                       bits per byte, for each language
      {"{"}"question": "…", "choices": ["…", "…"], "answer": 0{"}"}   how often the right choice is the likeliest
      {"{"}"prompt": "…", "answer": "…"{"}"}                        how often the answer is the very words
    Any other file is one text.
help-inspect = Say what a model is, what it needs, and what can be done with it
help-inspect-examples =
    Examples:
      kwaya inspect mymodel
      kwaya inspect SmolLM2-135M-Instruct.gguf --tensors
help-arg-source = A folder with a model as Hugging Face has it, or a GGUF file
help-arg-out = What is to be written; there may be nothing by that name yet
help-flag-numbers = How weights are stored: f32, f16 or bf16; as they are when left out, but f32 for those in blocks
help-flag-format = What to write: gguf, a single file, or folder. When left out, a name that ends in .gguf means gguf
help-flag-quantise = How weights are stored: F32, F16, BF16, Q8_0, Q6_K, Q4_K_M or Q4_0, from large and exact to small and coarse. When left out Q8_0 in a GGUF file, as they are in a folder
help-flag-measure = A text file: measure how well the model predicts it, before and after
help-flag-data = A file of text, or of JSON lines; several may be named
help-flag-tensors = List each matrix and vector of weights
help-corpus = Look at the data, and at what was left out and why
help-corpus-examples = Example: kwaya corpus dropped mymodel
help-stats = Print the figures of the corpus
help-stats-examples = Example: kwaya corpus stats mymodel
help-show = Print the beginning of each document, or one document and all that was done to it
help-show-examples =
    Examples:
      kwaya corpus show mymodel --limit 5 --language sw
      kwaya corpus show mymodel 3f2a9c0d41b7
help-dropped = Print each file or text that was left out, and why
help-dropped-examples =
    Examples:
      kwaya corpus dropped mymodel --limit 100
      kwaya corpus dropped mymodel --reason too-short --skip 100
help-arg-dir = The folder with the recipe (kwaya.toml)
help-arg-model = A folder with a recipe that was built, or with a model
help-arg-prompt = The text to continue
help-flag-json = Print JSON instead of text: one document, or one a line where there are many
help-flag-threads = Threads to use; all there are when left out. The result does not depend on it
help-flag-from = The folder of documents
help-flag-base = A model to begin from, which is taught the documents: a folder, a GGUF file, or another recipe that was built. When left out, a model is trained from nothing
help-flag-method = How the base is taught: lora, small matrices beside its weights, which takes least time and memory; full, all weights in small steps; continue, all weights, to learn a language from many documents. When left out lora
help-flag-adapter = Adapters in the format of PEFT, or a recipe that was built: merge them into the model
help-flag-adapter-only = Write the adapters of a recipe, without the model beneath
help-flag-language = A language that belongs in the corpus, such as sw or en; may be given several times
help-flag-within = The time there is, such as 30m or 2h
help-flag-memory = The memory to use at most, such as 800MB or 2GB; nine tenths of what is free when left out
help-flag-checkpoint-every = How often to save the training; a power cut costs at most this much work
help-flag-limit = How many to print
help-flag-tokens = Tokens to write, at most
help-flag-temperature = 0 always takes the likeliest token; higher is freer
help-flag-top-k = Choose among the K likeliest tokens; 0 for all
help-flag-top-p = Choose among the likeliest tokens that make up this share; 1 for all
help-flag-repetition-penalty = Above 1 avoids repeating; 1 for none
help-flag-seed = The same seed gives the same text
help-flag-json-schema = Write only JSON of this schema: a file, or the schema itself
help-flag-regex = Write only what this regular expression matches as a whole
help-flag-system = What the model is told before the talk begins
isa-missing = KWAYA_ISA asks for { $asked }, which this machine does not have; it has { $present }
    .remedy = Set KWAYA_ISA to one of those, or to nothing for the best.
command-wrong = { $cause }
    .remedy = kwaya --help lists the commands, kwaya COMMAND --help what each takes.
number-wrong = a number from { $low } to { $high } is needed
path-not-utf8 = The name of the folder { $path } is not UTF-8, so no recipe can name it
    .remedy = Rename the folder, for instance to plain letters, and run the same command again.
model-missing = There is no model in { $path } yet
    .remedy = Make it with: kwaya build { $path }
time-wrong = { $value } is not a length of time
    .remedy = Write it as 90s, 30m, 2h or 1d.
recipe-header =
    # The recipe of a model. Edit it as you like; `kwaya plan` and `kwaya build` follow it.
new-done =
    Wrote { $path }
    Next: kwaya plan { $folder } --within 30m
machine-measure = Measuring this machine
machine-figures =
    Processor   { $processor }; { $threads } threads, { $instructions }
    Memory      { $memory }, of which { $free } are free; read at { $one } a second by one thread, { $all } by all
    Disk        { $disk } free; written at { $write } a second; { $sync } ms until a small file is safe
    Arithmetic  f32: { $peak } billion operations a second at most; a matrix product reaches { $product } % of it, training { $training } %
                bf16: { $peak_bf16 } billion; a matrix product reaches { $product_bf16 } %, training { $training_bf16 } %
                { $paper }
machine-paper = At most is as measured with all operands in registers: { $share } % of the { $peak } billion in f32 that the processor has on paper.
machine-no-paper = At most is as measured with all operands in registers: this system does not tell what the processor has on paper.
machine-can =

    What this machine can do, as an estimate from these figures:
                                             in an hour  in a night  in a week
    train from scratch, million weights       { $train_hour }   { $train_night }  { $train_week }
    train further, million weights            { $tune_hour }   { $tune_night }  { $tune_week }
    serve, answers of a few sentences         { $answers_hour }   { $answers_night }  { $answers_week }

    From scratch means 20 tokens of text for each weight. Further means all weights of a model that exists, on a million
    tokens, which are about 2,000 pages. To serve means a model of up to { $serve } million weights, which here writes 10
    tokens a second, somewhat faster than people read. A night has 10 hours.
    Next: kwaya plan FOLDER --within 10h
bench-measure = Measuring operations and trainings
bench-head =
    { $threads } threads, { $instructions }. The limits: { $peak } GFLOPS in f32, { $peak_bf16 } in bf16, { $bandwidth } GB/s read from memory
    More than 100 % of the memory's speed: the data lay in a cache.
    operation            shape                  speed           of the limit, and the hash of the result
bench-trainings =

    weights of a model   rows × tokens          speed           of the limit, the bits of the loss, and the memory
plan-table =
    Measured on this machine (the arrow is the choice):
    million weights  width  layers  ms a step    steps  times through the text
plan-row = { $mark }         { $millions }  { $width }  { $layers }     { $milliseconds }  { $steps }                  { $epochs }
plan-figures =
    The plan: { $millions } million weights in { $layers } layers of width { $width }, { $vocabulary } tokens in the vocabulary, { $steps } training steps, arithmetic { $arithmetic }
    Forecast: { $cost }
    Memory of the training: weights { $weights }, gradients { $gradients }, optimiser { $optimiser }, activations { $activations }, workspace { $workspace }
plan-base = Begins from the base, method { $method }{ $tokens ->
        [0] {""}
       *[other] , with { $tokens } new tokens
    }: { $learned } million numbers are learned
plan-next = Next: kwaya build { $folder }
cost = { $time }, { $memory } of memory, { $disk } of disk
build-nothing-to-do = Everything was done before, and nothing has changed.
build-figures =
    Model      { $model }, { $millions } million weights
    Documents  { $documents } kept ({ $text }), { $dropped } left out; kwaya corpus dropped { $folder } says why
    Tokens     { $tokens } to train on
    Training   { $steps } steps, { $seen } tokens seen, { $speed } tokens a second
build-ranks = Processes  { $ranks }; each sent { $bytes } a step, which takes { $slow } at 100 Mbit/s and { $fast } at 1 Gbit/s
build-evaluation = Bits per byte on text that was kept out of training: what one byte of new text costs. Lower is better; 8 means nothing was learned.
build-language = { $language }  this model { $trained }   before training { $untrained }   compressor (zstd -19) { $compressor }   tokens per byte { $tokens }
build-language-base = { $language }  this model { $trained }   the base { $untrained }   compressor (zstd -19) { $compressor }   tokens per byte { $tokens }
build-new-tokens =     { $count } new tokens: a byte takes { $after } tokens, where it took { $before } before
build-adapter = Adapters   { $path }, { $millions } million numbers, in the format of PEFT; the model above has them merged in
build-cost =
    Took       { $truth }
    Forecast   { $forecast }
build-sample = It writes:
build-next =
    Report: { $report }
    Next:   kwaya ask { $folder } "…"        an answer from the documents
            kwaya generate { $folder } "…"   what the model writes; kwaya chat { $folder } to talk with it
            kwaya serve { $folder }          pages to look at all of it, and an API for other programs
stage-name-corpus = Corpus
stage-name-tokenizer = Tokenizer
stage-name-tokenize = Tokens
stage-name-extend = New tokens
stage-name-tokenize-base = Tokens of the base
stage-name-merge = Merging
stage-name-train = Training
stage-name-evaluate = Figures
status-done = { $stage }: done in { $time }
status-reached = { $stage }: { $step } of { $steps } steps are safe; about { $time } are left
status-left = { $stage }: still to be done
status-next = Next: kwaya build { $folder }
status-next-done = Next: kwaya generate { $folder } "…"
chat-you = You
chat-model = Model
chat-hello = Type a line and press Enter. Ctrl-D ends the talk.
corpus-language = { $language }: { $documents } documents, { $bytes }, of which { $held_out } are kept out of training
corpus-dropped = { $why }: { $files } left out
corpus-missing = There is no corpus in { $path } yet
    .remedy = Make it with: kwaya plan { $path }
form-wrong = The text cannot be held to this form: { $cause }
    .remedy = Correct the schema or the regular expression. Begin with a small one that works, and add to it.
form-without-end = This model names no token that ends a text, so a text cannot be held to a form
    .remedy = Use another model, or write without a schema and check what comes.
prompt-failed = The text could not be turned into tokens: { $cause }
    .remedy = Try another text.
tokenizer-mismatch = The tokenizer { $path } has more tokens than the model
    .remedy = Put the tokenizer.json of this model beside it.
tokenizer-failed = The tokenizer { $path } failed: { $cause }
    .remedy = Check that the file is a tokenizer.json, or build again.
vocabulary-wrong = The { $field } of the tokenizer cannot be used: { $cause }
    .remedy = Get the model's files again, or a conversion of it by somebody else.
vocabulary-pre = The tokenizer cuts text in a way that is not known: { $name }
    .remedy = Use a model whose tokenizer cuts in one of these ways: { $known }.
vocabulary-extend = The tokenizer of the base is of the kind { $kind }, to which no tokens can be added
    .remedy = Take new_tokens out of the recipe, or use a base whose tokenizer is a byte-pair encoding (BPE).
chat-without-template = There are chats among the documents, and nothing says how a chat is to be written for this model
    .remedy = Take a base that has a chat template, such as a model whose name ends in Instruct; or take the chats away.
chat-turns = The chat template of the base writes an answer in another way when more follows, so it cannot be said what the model is to learn
    .remedy = Give chats with one question and one answer, or use another base.
chat-continue = There are chats among the documents, and the method continue learns from plain documents alone
    .remedy = Write method = "lora" or method = "full" in the recipe under [train], or take the chats away.
chat-template = The chat template fails at line { $line }: { $cause }
    .remedy = Correct the template, or use the model without one.
compressor-failed = The compressor failed: { $cause }
    .remedy = Free some memory and run the same command again.
too-many-languages = { $count } languages are too many for one corpus
    .remedy = Name at most 256 in the recipe.
ledger-figures = The figures in the ledger cannot be read: { $cause }
    .remedy = Move the build folder away and build again.
stage-tokenizer = Training the tokenizer
stage-tokenize = Turning text into tokens

### Documents

scan-files = Looking through the documents
corpus-documents = Reading and cleaning the documents
corpus-duplicates = Comparing the documents with one another
corpus-write = Writing the corpus
keep-out-too-large = { $path } is too large for a set of questions: the limit is { $bytes } bytes
    .remedy = Name only the files that models are measured with under keep_out in the recipe.
keep-out-text = { $path } is not a text in UTF-8
    .remedy = Files under keep_out in the recipe are plain text or JSON lines.
corpus-too-many = There are more than 4,294,967,295 documents
    .remedy = Build the corpus in parts, each from a recipe of its own.
source-missing = There is no folder { $path }
    .remedy = Check the name in the recipe, and that the disk it is on is connected.
source-empty = There is no file that can be read in { $path }
    .remedy = Put documents there, or name another folder in the recipe.
source-changed = { $path } was changed while it was being read
    .remedy = Run kwaya plan again, and leave the documents as they are until the build is done.
corpus-empty =
    None of the documents can be used:
    { $reasons }
    .remedy = `kwaya corpus dropped` shows each file and why. Check the languages in the recipe first.
corpus-damaged = { $path } is damaged or is not a table of documents: { $cause }
    .remedy = Delete the file and build again; it will be made anew.
worker-failed = The program that reads documents, { $path }, could not be started: { $cause }
    .remedy = Install Kwaya again, or check that the file may be run.
reason-empty = The file is empty
    .remedy = Nothing to do, unless it should hold text: then copy it again.
reason-too-large = The file is too large
    .remedy = Split it into parts, one document each.
reason-unreadable = The file could not be opened
    .remedy = Give yourself the right to read it, or copy it again.
reason-special-file = Not a document but a pipe, socket or device
    .remedy = Nothing to do.
reason-link-loop = A link back to a folder that was already looked through
    .remedy = Nothing to do; its documents are counted once.
reason-withdrawn = Somebody took it back
    .remedy = Nothing to do. withdrawn.jsonl beside the recipe says when and why.
reason-picture = A picture
    .remedy = If it shows text, install Tesseract and its data for your language, and write in the recipe under [corpus]: ocr = ["swa"], with the name that `tesseract --list-langs` shows.
reason-unknown-format = A format that cannot be read
    .remedy = Save it as DOCX, ODT, PDF, EPUB, HTML or plain text.
reason-damaged = The file is damaged
    .remedy = Open it in its own program, save it anew, or copy it again.
reason-encrypted = It takes a password to read it
    .remedy = Open it in its own program with the password, save a copy without one, and add that.
reason-no-text = A PDF of pictures, without text
    .remedy = Install Tesseract and its data for your language, and write in the recipe under [corpus]: ocr = ["swa"], with the name that `tesseract --list-langs` shows.
reason-unreadable-font = A PDF that does not say which characters its signs are
    .remedy = Add the document that the PDF was made from. If there is none, print the pages as pictures and have them recognised (OCR).
reason-time-limit = Reading it took too long
    .remedy = Save it in another format, or split it.
reason-not-text = No running text
    .remedy = Nothing to do, unless it should hold text: then save it as plain text in UTF-8.
reason-bad-line = A line of the file holds neither a text nor a chat
    .remedy = Write on each line {"{"}"text": "…"{"}"} or {"{"}"messages": [{"{"}"role": "user", "content": "…"{"}"}, {"{"}"role": "assistant", "content": "…"{"}"}]{"}"}.
reason-too-short = The text is too short
    .remedy = Join short texts into one document, or lower the limit in the recipe.
reason-other-language = The text is in another language
    .remedy = Add that language to the recipe if you want it.
reason-contaminated = Has a passage of the texts that the recipe keeps out of training
    .remedy = Nothing to do: a model that has seen the questions cannot be measured with them.
reason-exact-duplicate = The same text as another document
    .remedy = Nothing to do; the text is counted once.
reason-near-duplicate = Nearly the same text as another document
    .remedy = Nothing to do; the text is counted once.
reason-repeated-paragraphs = Nothing but paragraphs of earlier documents, or next to nothing
    .remedy = Nothing to do, or set unique_paragraphs = false under [corpus] to keep such paragraphs.
reason-bad-member = A member of an archive that is locked, or whose name is used twice or leads out of the archive
    .remedy = Unpack the archive yourself, and put the files that you want into a folder.
reason-archive-limit = An archive that unpacks to far more than its size, or has too much in it
    .remedy = Unpack it yourself if you know what it is, and put the files that you want into a folder.
reason-no-column = A table without a column of text
    .remedy = Name the column in the recipe: column = "…" below [[source]].
reason-no-document = A redirect, an error page or a page about other pages
    .remedy = Nothing to do.

### Why a text is not good enough

corpus-quality = Judging the documents by the rest of their language
word-list-wrong = Line { $line } of the list of words { $path } cannot be used
    .remedy = Write one word, or a phrase of up to 16 words, on each line, as UTF-8 text, and not more than { $max } in all lists.
history-lines = lines that are no part of the text, taken out: { $lines } ({ $bytes })
corpus-lines = { $lines } lines that were no part of their texts were taken out: { $rules }
line-site = menus, footers and the like, which many documents have
line-long-word = with a word of more than 1000 characters
line-script = about JavaScript
line-policy = about cookies or terms of use
line-unended = without the end of a sentence
line-few-words = of fewer than three words
report-lines = Lines that were no part of their texts were taken out:
report-limits = What was asked of texts in { $language }
report-filter = Filter
report-least = At least
report-most = At most
report-limit-from = The limit is from
report-beyond = Texts beyond it
report-spread = Texts, and the limit
report-spread-from = Texts with figures from { $from } to { $to }
report-spread-meaning = The bars show how many texts have which figure, from the least on the left to the greatest on the right; the lines across them are the limits.
corpus-limits = Limits that some texts in { $language } are beyond: filter, at least, at most, where the limit is from, how many (--json has all limits)
limit-stated = the recipe
limit-published = fixed, after a paper
limit-learned = learned from these texts
limit-moved = learned, and moved so as to drop few

reason-boilerplate = Most of the text is in lines that many documents of its source have
    .remedy = Nothing to do for menus and notices. If these lines are what the documents are about, set boilerplate = false under [corpus.quality.limits].
reason-few-words = Too few words
    .remedy = Join short texts into one document, or lower few-words under [corpus.quality.limits].
reason-few-sentences = Too few sentences
    .remedy = Join short texts into one document, or lower few-sentences under [corpus.quality.limits].
reason-mean-word-length = The words are much shorter or longer than is usual in the language
    .remedy = Look whether letters or blanks were lost when the text was made. If it is right, widen mean-word-length under [corpus.quality.limits].
reason-letters = More figures and signs than letters
    .remedy = Nothing to do for tables. If it is right, lower letters under [corpus.quality.limits].
reason-alphabetic-words = Too many words without a letter
    .remedy = Nothing to do for tables. If it is right, lower alphabetic-words under [corpus.quality.limits].
reason-symbol-ratio = Too many # or … for its words
    .remedy = Nothing to do for tags and lists of excerpts. If it is right, raise symbol-ratio under [corpus.quality.limits].
reason-bullet-lines = Nearly all lines are points of a list
    .remedy = If lists are what you want, set bullet-lines = false under [corpus.quality.limits].
reason-ellipsis-lines = Many lines are cut off with …
    .remedy = Copy the whole texts instead of their excerpts. If it is right, raise ellipsis-lines under [corpus.quality.limits].
reason-curly-brackets = Curly brackets in many lines, as in programs
    .remedy = If programs are what you want, set curly-brackets = false under [corpus.quality.limits].
reason-lorem-ipsum = Filler text (lorem ipsum)
    .remedy = Nothing to do, unless the text is about it: then set lorem-ipsum = false under [corpus.quality.limits].
reason-unended-lines = Nearly no line ends as a sentence does
    .remedy = Nothing to do for menus and lists. For poems or songs, set unended-lines = false under [corpus.quality.limits].
reason-short-lines = Most lines are very short
    .remedy = Nothing to do for menus and lists. For poems or songs, set short-lines = false under [corpus.quality.limits].
reason-line-breaks = Too many lines for its words
    .remedy = Nothing to do for menus and lists. For poems or songs, raise line-breaks under [corpus.quality.limits].
reason-duplicate-lines = Many lines are there more than once
    .remedy = Look whether the text was copied several times into one file. For songs or forms, raise duplicate-lines under [corpus.quality.limits].
reason-duplicate-line-characters = Much of the text is in lines that are there more than once
    .remedy = Look whether the text was copied several times into one file. For songs or forms, raise duplicate-line-characters under [corpus.quality.limits].
reason-duplicate-paragraphs = Many paragraphs are there more than once
    .remedy = Look whether the text was copied several times into one file. For songs or forms, raise duplicate-paragraphs under [corpus.quality.limits].
reason-duplicate-paragraph-characters = Much of the text is in paragraphs that are there more than once
    .remedy = Look whether the text was copied several times into one file. For songs or forms, raise duplicate-paragraph-characters under [corpus.quality.limits].
reason-top-ngram = A few words are said again and again
    .remedy = Nothing to do for lists of search words. For songs or prayers, raise top-ngram under [corpus.quality.limits].
reason-duplicate-ngrams = Much of the text is in phrases that were there before
    .remedy = Look whether the text was copied several times into one file. For songs or forms, raise duplicate-ngrams under [corpus.quality.limits].
reason-stop-words = Hardly any of the words that every text in this language has
    .remedy = Nothing to do for lists of names or search words. If it is right, set stop-words = false under [corpus.quality.limits].
reason-word-order = The words do not follow one another as they do in this language
    .remedy = Nothing to do for lists of search words. If it is right, set word-order = false under [corpus.quality.limits].
reason-gibberish = The letters do not follow one another as they do in this language
    .remedy = Look whether the text was recognised badly or is in another language. If it is right, set gibberish = false under [corpus.quality.limits].
reason-word-list = Too many words of your word lists
    .remedy = Nothing to do if that is what the lists are for. Else raise word-list under [corpus.quality.limits], or shorten the lists.

### The report and the cards

language-tag = en
report-failed = The report could not be made: { $cause }
    .remedy = The model itself is finished and whole. Please tell the makers of Kwaya what is written above.
report-title = { $name }: what was built, from what, and how well
report-intro = A language model of { $millions } million weights ({ $layers } layers, width { $width }) for { $languages }, trained from nothing on the documents listed here. Licence of the documents: { $licences }.
report-intro-base = A language model of { $millions } million weights ({ $layers } layers, width { $width }) for { $languages }. It began as { $base } and was taught the documents listed here by the method { $method }, in which { $learned } million numbers were learned. Licence of the documents: { $licences }. Licence of the base: { $licence }.
report-new-tokens = { $count } tokens of the documents' language were added to the vocabulary of the base. Tokens per byte of text that was kept out, before and after: { $before } and { $after }. Fewer tokens for the same text mean quicker answers and longer memory.
report-figures = How well it predicts text that it has not seen
report-figures-meaning = Bits per byte: what one byte of new text costs when the model has to guess it. Lower is better, and 8 means that nothing was learned. It was measured on documents that were kept out of training. The compressor, zstd at level 19, may look back at all the training text: a model that needs more bits than it has learned less than a list of repeated phrases.
report-language = Language
report-bits = Bits per byte
report-documents = Documents
report-text = Text
report-tokens-per-byte = Tokens per byte
report-trained = This model
report-untrained = The same before training
report-base = The base
report-compressor = Compressor (zstd -19)
report-samples = What it writes
report-samples-meaning = Each begins with the words in bold, the first words of a document that the model has not seen; the first sample begins with nothing. A small model writes sentences that sound like its documents. Do not trust what they say.
report-training = The training
report-training-figures = { $steps } steps over { $tokens } tokens at { $speed } tokens a second: { $time }.
report-ranks = { $ranks } processes shared the work; each sent { $bytes } a step. Their number changes nothing in the model.
report-loss-meaning = The loss is how surprised the model is by the next token, in nats. It should fall fast, then slowly. When the line of the text kept out begins to rise, the model learns its documents by heart.
report-rate-meaning = The learning rate says how far each step moves the weights: up at first, then slowly to rest.
report-axis-tokens = tokens seen
report-axis-loss = nats per token
report-axis-rate = learning rate
report-line-training = training
report-line-held-out = kept out
report-line-rate = rate
report-cost = What was foretold, and what it took
report-forecast = Forecast
report-truth = Truth
report-time = Time
report-memory = Memory, at most
report-disk = Disk, at most
report-machine = Measured on { $processor }, { $threads } threads, { $instructions }, { $memory } of memory.
report-corpus = What went in
report-corpus-figures = { $files } files ({ $file_bytes }) were read. { $documents } documents with { $bytes } of text were kept, { $dropped } files or parts of files were left out.
report-kept-out = Kept out of training
report-format = Format
report-dropped = What was left out, and why
report-dropped-none = Nothing was left out.
report-dropped-more = These are { $shown } of { $all }; kwaya corpus dropped lists them all.
report-why = Why
report-files = Files
report-file = File
report-source = Source
report-licence = Licence
report-ledger = The ledger
report-ledger-meaning = Each stage of the build is a line of ledger.jsonl, which carries the hash of the line before. The names of what was made are the beginnings of the BLAKE3 hashes of its content.
report-stage = Stage
report-when = When
report-made = Made
report-lock = With the documents { $documents } and kwaya.lock, anybody gets the same model, bit for bit (arithmetic { $arithmetic }).
card-use = What it is for
card-use-text = To continue text in its languages, to learn how such models are built, and as a beginning for more training. It was trained on few documents and knows nothing beyond them: do not use it where a wrong sentence does harm.
card-data-title = The documents of { $name }
plan-measure = Measuring this machine

### Rights, looking at the corpus, taking texts back

help-sample = Print some documents, drawn at random; the same ones every time
help-sample-examples =
    Examples:
      kwaya corpus sample mymodel --limit 20 --language sw
      kwaya corpus sample mymodel --dropped --reason near-duplicate
help-withdraw = Take somebody's text out of the corpus for good, and say what was made from it
help-withdraw-examples =
    Examples:
      kwaya corpus withdraw mymodel letters/asha.txt --because "Asha asked for it"
      kwaya corpus withdraw mymodel 3f2a9c0d41b7 --delete

    It is noted in withdrawn.jsonl beside the recipe: the same text stays out of every later build, in whatever file it
    comes back. What was dropped for being the same, or nearly, is taken out with it.
help-arg-id = The beginning of a document's number, as kwaya corpus show prints it
help-arg-what = A document (the beginning of its number), a file (its name or path), or a source (its path in the recipe)
help-flag-licence = The licence of the documents, such as CC-BY-4.0, as https://spdx.org/licenses names it; for terms of your own LicenseRef- and a name
help-flag-allowed-by = Who allowed that the documents are used
help-flag-allowed-on = The day on which they did, such as 2026-11-25
help-flag-allowed-for = What they allowed it for; may be given several times. As --use when left out
help-flag-allowed-until = The last day on which they allow it, or no-end
help-flag-use = What the model is for; may be given several times
help-flag-of-language = Only documents in this language
help-flag-of-source = Only documents of this source of the recipe, of this file, or of this folder
help-flag-reason = Only what was dropped for this reason
help-flag-filter = Only what was dropped by the filter of this name, as kwaya corpus dropped shows it in brackets
help-flag-skip = How many to pass over first
help-flag-dropped = Draw from what was left out, so many of each reason
help-flag-because = Who asked for it, or why; it is noted beside the day
help-flag-delete = Delete what was made from it
new-ask-licence = Licence of the documents (such as CC-BY-4.0; LicenseRef-name for terms of your own)
new-ask-allowed-by = Who allowed that they are used
new-ask-allowed-on = On which day (such as 2026-11-25)
new-ask-use = What the model is for ({ $known })
new-ask-allowed-for = What the documents may be used for ({ $known }; when empty { $default })
new-ask-allowed-until = The last day on which they may be used (when empty { $default })
new-unanswered = Nobody has said --{ $flag }
    .remedy = Say it, as in: --licence CC-BY-4.0 --allowed-by "Gazeti la Mwananchi" --allowed-on 2026-11-25 --use education --use research
new-answer = { $value } cannot be --{ $flag }
    .remedy = Possible: { $allowed }.
recipe-rights =
    The recipe { $path } does not say who allowed that the documents are used, and for what. It lacks:
    { $missing }
    .remedy =
        Write above the first [[source]] what the model is for:
          use = ["education", "research"]
        and under each [[source]] its licence, who allowed it, when, for what and until when:
          licence = "CC-BY-4.0"
          allowed_by = "Gazeti la Mwananchi, letter of the editor"
          allowed_on = "2026-11-25"
          allowed_for = ["education", "research"]
          allowed_until = "no-end"
        Uses are any, research, education, health-care, public-service and commercial.
rights-refused =
    The documents may not be used for this model, which is for { $use }:
    { $list }
    .remedy = Ask those who gave the documents, and write in the recipe what they allow; or take those sources out, or what they do not allow out of use.
rights-not-for = { "  " }{ $place }: not allowed for { $wanted }, but for { $allowed }
rights-not-yet = { "  " }{ $place }: allowed from { $on } on, and today is { $today }
rights-ended = { "  " }{ $place }: { $by } allowed it until { $end }, and today is { $today }
rights-licences = a name of https://spdx.org/licenses such as CC-BY-4.0 or CC0-1.0, several with AND or OR, or LicenseRef-name for terms of your own
rights-by = the name of a person or an institution, in up to 500 characters
rights-non-commercial = without commercial and any, which this licence keeps back. If more was allowed, add it to the licence: OR LicenseRef-letter
plan-rights = Rights: all sources allow { $uses }, compared with the day of this plan, { $day }. The first consent ends: { $until }
withdrawn-wrong = Line { $line } of { $path } is not as kwaya corpus withdraw writes it: { $cause }
    .remedy = Put a copy of the file back. Without that line, the texts that it names would come into the corpus again.
withdraw-unknown = No document, file or source of { $folder } is called { $what }
    .remedy = kwaya corpus show { $folder } lists documents with their numbers and files. A number needs at least 8 of its digits.
withdraw-several =
    Several files are called { $what }:
    { $list }
    .remedy = Name one of them as it stands here, or a document by its number.
withdraw-done = Took back { $what }: { $texts ->
        [0] no text of it is in a corpus, and none will be
        [one] 1 text, which stays out of every build from now on
       *[other] { $texts } texts, which stay out of every build from now on
    }.
withdraw-before = { $what } was taken back before ({ $texts ->
        [one] 1 text
       *[other] { $texts } texts
    }).
withdraw-files = These files still hold it. Delete them yourself, or the texts stay on this disk:
withdraw-nothing-made = Nothing that is here was made from it.
withdraw-made = Made from it, and still here:
withdraw-deleted = Made from it, and deleted now:
withdraw-ledger = The ledger cannot be changed without breaking its chain. It keeps figures, and the first words of the few documents that samples began with; to be rid of those too, delete the whole build folder.
withdraw-next-delete =
    Copies in other places are not known here: tell those who have them.
    Next: kwaya corpus withdraw { $folder } { $what } --delete, then kwaya plan { $folder } and kwaya build { $folder }
withdraw-next =
    Copies in other places are not known here: tell those who have them.
    Next: kwaya plan { $folder } and kwaya build { $folder }
show-unknown = No document in { $folder } has a number that begins with { $what }
    .remedy = kwaya corpus show { $folder } lists documents with their numbers.
show-several = Several documents have a number that begins with { $what }
    .remedy = Type more of its digits.
show-head =
    Document   { $id }
    File       { $file }
    Language   { $language }, { $bytes }, { $split }
show-rights =
    Source     { $path }, licence { $licence }
    Allowed    by { $by } on { $on } for { $uses }, until: { $until }
    What was done to it:
split-train = to train on
split-held-out = kept out of training, to measure on
history-extract = taken out of a file of { $bytes }, format { $format }{ $by }
history-decode = its bytes were read as { $encoding }
history-mend = damage was mended: { $characters } characters read in a wrong encoding once, { $words } words broken at the end of a line
history-normalise = blanks, line ends and characters put in order: { $before } before, { $after } after
history-cut = cut out of a long text: piece { $piece } of { $pieces }
history-language = the language was recognised as { $detected }; of a hundred such texts, { $percent } are named rightly
history-language-unsure = the language looked like { $detected }, which is right for { $percent } of a hundred such texts; it was filed as the recipe has it
history-paragraphs = languages of its paragraphs: { $languages }; left out as unwanted: { $left_out }
history-repeated = paragraphs that earlier documents have, left out: { $paragraphs }
history-redact = personal data replaced: { $list }
corpus-mended = { $characters } characters that were read in a wrong encoding once, and { $words } words broken at the end of a line, were mended.
corpus-source = Source { $origin }: { $documents } documents, { $bytes }
corpus-length = { $low } to { $high }: { $documents } documents
report-allowed = Allowed
report-allowed-words = by { $by } on { $on } for { $uses }, until: { $until }
report-languages-chart = Text in each language
report-lengths-chart = How long the documents are
report-kept-sample = Some of the documents that were kept, drawn at random
report-dropped-sample = { $shown } of them, drawn at random

### Parity

help-parity = Say what each language costs in tokens, and what its speakers pay beside English
help-parity-examples =
    Examples:
      kwaya corpus parity mymodel --tokenizer SmolLM2-135M-Instruct.gguf
      kwaya corpus parity --parallel sw=news.sw.txt en=news.en.txt --tokenizer mymodel model.gguf other/tokenizer.json --chart parity.svg

    Only text that says the same in all languages gives a premium that is exact: files whose lines correspond.
help-flag-tokenizer = A tokenizer.json, a GGUF file, the folder of a model, or a recipe that was built; several may be named
help-flag-parallel = A language and a file, such as sw=news.txt; the lines of all files say the same
help-flag-chart = Draw the premiums into this file, as SVG
parity-measure = Measuring what each language costs
parity-no-tokenizer = There is no tokenizer to measure with
    .remedy = Name one with --tokenizer, or build the recipe first.
parity-nothing = There is no text to measure on
    .remedy = Name the folder of a recipe, or files whose lines correspond: --parallel sw=FILE en=FILE
parity-pair = { $value } is not a language and a file
    .remedy = Write it as sw=news.sw.txt.
parity-languages = Parallel text needs at least two files, each in a language of its own
    .remedy = Name them as --parallel sw=FILE en=FILE.
parity-many = { $count } are too many at once
    .remedy = Name at most { $max }.
parity-lines = { $path } ends after { $lines } lines, and another of the files does not
    .remedy = Give files of which line 1 says the same in all, line 2 too, and so on to the end.
parity-line = Line { $line } of { $path } cannot be used: { $cause ->
        [too-long] it is longer than 1 MB
       *[other] it is not UTF-8
    }
    .remedy = Give plain text in UTF-8, with a sentence or a paragraph on each line.
parity-amounts = language        documents          words    sentences        bytes
parity-head =
    { $tokenizer }, { $count } tokens in its vocabulary
    language           tokens   per byte   per word   per sentence  beside English  beside the best
parity-times = { $times } times
parity-sentence = With { $tokenizer } the same text takes { $times } times as many tokens in { $language } as in { $best }: its speakers wait { $times } times as long and pay { $times } times as much for the same answer, and where 1,000 tokens of { $best } fit, there is room for what { $thousand } would say.
parity-estimate = With { $tokenizer } a sentence takes { $times } times as many tokens in { $language } as in { $best }, as an estimate: the texts do not say the same.
parity-corpus = Premiums are of a sentence beside a sentence of other texts. For exact ones give parallel text: --parallel sw=FILE en=FILE.

### The data card

help-card = Write the card of the corpus anew, with your answers from [card] in the recipe, and list what is left open
help-card-examples =
    Example: kwaya corpus card mymodel

    It is README.md beside the corpus, as datasets on the Hugging Face Hub have it, and croissant.json, in the format
    Croissant 1.1.
card-written = Wrote { $readme } and { $croissant }
card-left-open = Only a person can answer these. Write the answers under [card] in the recipe, each after its key and =, in quotation marks:
card-description = Documents in { $languages }, gathered and cleaned for { $name }.
card-rights = What may be done with it
card-rights-words = All sources together allow: { $uses }. A document carries the number of its source in the column origin; sources.json says who allowed what.
card-duo = In terms of the Data Use Ontology, which has none for teaching, public service and trade:
card-content = What is in it
card-files = documents.parquet holds the texts, each with its source, licence, language, split and what was done to it; dropped.parquet says what was left out, and why.
card-making = How it was made
card-making-words = The documents were read, cleaned, cut at paragraphs where they were long, and compared. Texts of less than { $characters } characters were left out, as were copies and texts that are { $alike } alike or more (Jaccard similarity of groups of five words). Made by Kwaya { $version } on { $date }, line { $line } of the ledger; the same documents give the same tables, bit for bit.
card-answers = What people say of it
card-open = Questions that only a person can answer
card-open-words = The answers belong under [card] in the recipe.
card-ask-description = What is in these documents, in a few sentences?
card-ask-curated_by = Who gathered them?
card-ask-funded_by = Who paid for it?
card-ask-contact = Whom can people write to, also to have a text of theirs taken out?
card-ask-url = Where are they published?
card-ask-published = On which day were they published?
card-ask-version = Which version is it?
card-ask-rationale = Why these documents and no others?
card-ask-collection = How and when were they collected?
card-ask-authors = Who wrote or spoke them: which people, of which places, ages and dialects?
card-ask-sensitive = What in them could hurt people, and what was done about it?
card-ask-biases = Whom and what do they leave out, or show wrongly?
card-ask-limitations = What should they not be used for?
card-ask-impact = What good or harm may come of using them?
card-ask-citation = How are they to be cited?
card-use-for = The model is for: { $uses }. All the sources of its documents allowed that on the day it was planned and built.

### Text in pictures

ocr-missing = The recipe asks for text in pictures to be recognised, and the program { $program } cannot be used: { $cause }
    .remedy = Install it (on Debian and Ubuntu: apt install tesseract-ocr tesseract-ocr-swa), or take ocr out of the recipe; pictures are left out then.
ocr-language = Tesseract has no data for { $language }
    .remedy = Install it (on Debian and Ubuntu: apt install tesseract-ocr-LANGUAGE), or name one that is there: { $known }

### Languages

help-language = See which languages are recognised, recognise one, and teach one more
help-language-examples =
    Examples:
      kwaya language list
      kwaya language detect letter.docx notes.txt
      kwaya language learn bem bemba/*.txt --out bem.json
help-language-list = List the languages that are recognised, and how well
help-language-list-examples =
    Examples:
      kwaya language list
      kwaya language list --learned bem.json --json

    The figures are of texts that nothing was learned from. F1 is 1 where all texts of a language are named rightly and
    no text of another is taken for it. For the second figure, the texts come from another source as well.
help-language-detect = Say which language a document is in
help-language-detect-examples =
    Examples:
      kwaya language detect letter.docx notes.txt
      kwaya language detect --paragraphs report.pdf
      cat notes.txt | kwaya language detect - --json

    A language that is not known is und. The percentage says how many of a hundred texts like this one are named rightly.
help-language-learn = Learn a language from a sample of text, so that it is recognised
help-language-learn-examples =
    Examples:
      kwaya language learn bem bemba/*.txt --out bem.json
      kwaya language detect --learned bem.json letter.txt

    Two pages of text are enough to begin with, ten are better; stories and news together are better than either. A
    recipe names the file under [corpus], as languages_learned = ["bem.json"]. Where the program knows the language by
    itself, what was learned takes its place.
help-arg-file = A document, or - for text from standard input
help-arg-tag = The tag of the language (BCP 47), such as bem or sr-Latn
help-flag-paragraphs = Say the language of each paragraph
help-flag-learned = A file that kwaya language learn has written: recognise that language too; may be given several times
help-flag-out = The file to write
language-list-head =
    { $count } languages and scripts. F1 on texts that nothing was learned from, and the share of texts that is named
    rightly from a source that nothing was learned from; - where there are none.
    tag      script      F1  other  name
language-left-out = { $path } has no text to look at: { $why }
    .remedy = { $remedy }
language-learned =
    Wrote { $path }: { $tag }, from { $texts } pieces of text
    To measure it, { $kept_back } pieces were kept back from a first attempt, which named { $right } of them rightly.
language-learned-others = The others it took for: { $others }
language-learned-before = Before, such text was taken for: { $others }
language-learned-next = Next: name it in a recipe, under [corpus]: languages_learned = ["{ $path }"]
language-file-wrong = { $path } is not a file of a language: { $cause }
    .remedy = Make it anew with: kwaya language learn TAG FILE --out { $path }
language-twice = { $path } is a second file of the language { $tag }
    .remedy = Name one of them in the recipe. To learn from both samples, give both to one kwaya language learn.
language-tag-wrong = { $tag } is not the tag of a language
    .remedy = Write it as in BCP 47: two or three small letters, and the script where there are several, such as bem or sr-Latn.
language-sample-small = The sample has { $found } pieces of text, too few to learn from
    .remedy = Give at least { $least } pieces of a few sentences each, which is about two pages; ten pages are better.

### Classifiers

help-classify = Sort texts into labels, learned from rows that have them
help-classify-examples =
    Examples:
      kwaya classify train --data train.tsv --label category --text headline,text topics.safetensors
      kwaya classify eval topics.safetensors --data test.tsv
      kwaya classify run topics.safetensors "Bei ya mahindi imepanda"
      kwaya classify train --data train.tsv --label category --text headline,text --base model.gguf topics.gguf

    Data are tables (.tsv, .csv) whose first row names the columns, or lines of JSON (.jsonl).
help-classify-train = Learn a classifier from labelled rows
help-classify-train-examples =
    Examples:
      kwaya classify train --data train.tsv --label category --text headline,text topics.safetensors
      kwaya classify train --data letters.csv --label office --text letter offices.safetensors --report offices.html
      kwaya classify train --data train.jsonl --dev dev.jsonl --label topic --text body topics.safetensors --sure 0.98
      kwaya classify train --data train.tsv --label category --text headline,text --base model.gguf topics.gguf --precision bf16

    Settings are chosen by cross-validation: each quarter of the rows is held out in turn. The figures are of answers to rows that were held out.
    With --base a language model is taught instead, which takes minutes to hours rather than a second: docs/classifying.md says when that pays. A training that was stopped goes on when the same command is run again.
help-classify-run = Give each text its label
help-classify-run-examples =
    Examples:
      kwaya classify run topics.safetensors "Bei ya mahindi imepanda"
      kwaya classify run topics.safetensors --data new.csv > answers.tsv
      cat new.jsonl | kwaya classify run topics.safetensors --data - --json > answers.jsonl

    With --json each line also has the probability of each label, and the words that spoke most for the answer.
help-classify-eval = Measure answers to rows whose labels are known
help-classify-eval-examples =
    Examples:
      kwaya classify eval topics.safetensors --data test.tsv
      kwaya classify eval topics.safetensors --data test.tsv --report test.html
help-classify-model = A classifier, as kwaya classify train writes it
help-classify-out = The file to write the classifier to
help-classify-texts = Texts to give a label each
help-classify-data = A table (.tsv, .csv) or lines of JSON (.jsonl); - reads standard input
help-classify-dev = More labelled rows to choose settings by, or with --base to calibrate by; nothing is learned from them
help-classify-label = The column with the label
help-classify-text = The columns with text, with commas between
help-classify-sure = Of the answers that are not called unsure, the share that is to be right
help-classify-base = Teach this language model the labels, rather than weigh words: a folder, a GGUF file, or a recipe that was built. The classifier is then a GGUF file that needs nothing else
help-classify-tokens = With --base: tokens of a text that are read, from its beginning; fewer are faster
help-classify-epochs = With --base: how often each row is learned from
help-classify-rate = With --base: the learning rate at its highest
help-classify-precision = With --base: the numbers that products are made of; bf16 is faster where the processor has it, and gives other bits
help-classify-report = Write a page with the figures and the confusion matrix, as HTML

classify-reading = Reading rows
classify-training = Learning
classify-answering = Answering
classify-format = { $path } is no table that is known by its name
    .remedy = Give a file that ends in .tsv, .csv or .jsonl.
classify-column = { $path } has { $count ->
        [0] no column { $column }
       *[other] { $count } columns called { $column }
    }. Its columns: { $names }
    .remedy = Name the columns with --text and --label as the file does, and each once in the file.
classify-row = { $path }, line { $line }: the row cannot be read ({ $cause })
    .remedy = Correct this row, or take it out, and run the same command again.
classify-width = { $path }, line { $line }: { $found } columns, but the first row names { $wanted }
    .remedy = Correct this row. A quotation mark at the beginning of a field goes on to the next one; write "" for one that is part of the text.
classify-label-wrong = { $path }, line { $line }: a label of { $bytes } bytes
    .remedy = Each row needs a label of 1 to { $max } bytes. Give it one, or take the row out.
classify-label-unknown = { $path }, line { $line }: the classifier has no label { $label }
    .remedy = Its labels: { $labels }. Correct the row, or train the classifier with rows that have this label.
classify-too-much = { $path }, line { $line }: more than { $rows } rows or { $megabytes } MB of text
    .remedy = Take a part of the rows, drawn at random: more of them teach little.
classify-few = { $rows } rows are too few to learn from
    .remedy = Give at least { $min }; some hundred of each label make a good classifier.
classify-one-label = All rows have one label, { $label }
    .remedy = Give rows of two labels or more, and check that --label names the right column.
classify-many-labels = { $count } labels, and { $max } is the most
    .remedy = Check that --label names the right column: it should have a few values that repeat.
classify-many-columns = { $count } columns with text, and { $max } is the most
    .remedy = Name fewer columns with --text.
classify-no-words = No word is in two rows of { $columns }
    .remedy = Check that --text names columns with text.
classify-damaged = { $path } is not a classifier, or is damaged ({ $cause })
    .remedy = Give a file that kwaya classify train wrote, or train it again.
classify-columns-other = The classifier reads { $wanted } columns ({ $names }), and --text names { $found }
    .remedy = Name as many columns, in the same order.
classify-nothing = There is nothing to give a label to
    .remedy = Write a text after the name of the classifier, or name a file with --data.

classify-untaught = { $path } is a language model, but no classifier
    .remedy = Teach it your labels: kwaya classify train --data FILE --label COLUMN --text COLUMNS --base { $path } OUT.gguf
classify-labels-alike = The tokenizer of the base does not tell the label { $label } from { $other }
    .remedy = Give one of the two another name in the rows, or take another base.
classify-context = { $tokens } tokens of a text and its label are more than the model reads at once
    .remedy = Give --tokens of { $max } or fewer.
classify-memory = Teaching takes { $needed } of memory, and there are { $room }
    .remedy = Give fewer --tokens than { $tokens }, a smaller base, or more --memory where others can spare it.
classify-teaching = Each of { $rows } rows is learned from { $epochs } times, in { $steps } steps. { $cut } texts are longer than { $tokens } tokens and lose their end.
classify-taught = Taught { $base } { $labels } labels from { $rows } rows in { $time }: { $path } ({ $bytes }).
classify-of-untaught = Answers to { $rows } rows that it was not taught:
classify-made = Learned { $labels } labels from { $rows } rows in { $time }: { $path } ({ $bytes }, { $features } features).
classify-tried = Tried: single columns { $column_weight } beside all together, cost { $cost }: weighted F1 { $f1 }
classify-of-held-out = Answers to { $rows } rows, each held out from the training of its answer:
classify-of-test = Answers to { $rows } rows:
classify-head = label                             rows  precision     recall         F1
classify-matrix = Rows of each label by the answer they got:
classify-figures = Weighted F1 { $f1 }, mean F1 { $macro_f1 }, { $accuracy } % right. Probabilities are off by { $error } points on average.
classify-sure = Answers below a probability of { $below } are called unsure. Of the others ({ $share } % of the rows) { $accuracy } % are right.
classify-telling = Most telling for { $label }: { $words }
classify-next = Measure it on rows that it has not seen: kwaya classify eval { $path } --data FILE
classify-report = Wrote { $path }
classify-answers-head = line	label	probability	unsure
classify-yes = yes
classify-no = no
classify-speed = { $rows } rows in { $time }: { $speed } rows per second

classify-page-title = Classifier { $name }
classify-page-taught = A language model, { $base }, that was taught these labels.
classify-page-held-out = Measured on { $rows } rows, each held out from the training of its answer.
classify-page-test = Measured on { $rows } rows that were given for it.
classify-page-labels = Figures of each label
classify-page-label = Label
classify-page-rows = Rows
classify-page-precision = Precision
classify-page-recall = Recall
classify-page-labels-meaning = Precision: of the rows that got this label as answer, the share that has it. Recall: of the rows that have it, the share that got it. F1 is between both.
classify-page-matrix = Confusion matrix
classify-page-matrix-meaning = Each line has the rows of one label, by the answer they got. Outlined are the right answers; the darker a cell, the larger its share of the line.
classify-page-telling = The most telling words
classify-page-telling-meaning = The words that spoke most for each label, on average over rows that have it.

### Fields from documents

help-extract = Fill in a table from documents: the fields of a schema, each with the passage it came from
help-extract-examples =
    Examples:
      kwaya extract model.gguf letters --schema letter.json --to letters.csv
      kwaya extract mymodel reports scans.zip --schema report.json --to reports.parquet --only-found
      kwaya extract model.gguf letters --schema letter.json --to letters.csv --check right.jsonl

    letter.json:
      {"{"}"type": "object", "properties": {"{"}
        "sender": {"{"}"type": "string", "description": "who wrote the letter"{"}"},
        "date":   {"{"}"type": ["string", "null"], "format": "date"{"}"},
        "amount": {"{"}"type": ["number", "null"], "description": "in shillings"{"}"}{"}"}{"}"}
    A line of right.jsonl: {"{"}"document": "1.txt", "fields": {"{"}"sender": "Asha Said", "amount": 12500{"}"}{"}"}
help-arg-documents = Folders and files of documents, in any format that a corpus is made of
help-extract-schema = A JSON schema of an object: what is wanted of each document
help-extract-to = The table: a name that ends in .csv or .parquet
help-extract-instructions = What the model is told besides
help-extract-tokens = Tokens that an answer may have
help-extract-at-once = Documents that the model is asked about at once. The result does not depend on it
help-extract-only-found = Leave out values that stand nowhere in their document
help-extract-again = Ask anew about documents whose answers are known from an earlier run
help-extract-check = A file that says what is right for some documents: measure how good the values are
extract-schema = { $path } is no schema of the fields of a document: { $cause }
    .remedy = Write a JSON schema of an object whose properties are the fields. kwaya extract --help shows one.
extract-columns = The table would have two columns called { $name }
    .remedy = Give that field of the schema another name.
extract-output = { $path } names no table that can be written
    .remedy = Give a name that ends in .csv or .parquet.
extract-output-folder = { $path } is a folder
    .remedy = Give the name of a file, such as rows.csv.
extract-busy = Another process is at work on the same table: it holds { $path }
    .remedy = Wait until it ends, or give another name after --to.
extract-no-room = The model reads { $context } tokens at once. The fields, their descriptions and the answer take { $taken }; { $needed } more are needed for a document
    .remedy = Give a smaller number after --tokens, describe the fields in fewer words or in two schemas, or use a model that reads more.
extract-dead-end = The schema cannot be met: nothing that it allows can follow { $text }
    .remedy = Correct the schema there: its limits may leave no value.
extract-nothing = None of the documents could be read; { $count } were tried
    .remedy = The lines above say why.
extract-stopped = Stopped on request. { $path } has the { $rows } rows that there are so far
    .remedy = Run the same command again to go on from here.
extract-label = Line { $line } of { $path } does not say what is right for a document: { $cause }
    .remedy = Each line is like {"{"}"document": "1.txt", "fields": {"{"}"sender": "Asha Said"{"}"}{"}"}, with the fields of the schema; "record" names a row or a member of a file of many documents.
extract-documents = Reading documents and filling in fields
extract-figures = { $documents } documents, { $speed }/s
extract-unread = { $document }{ $record } could not be read: { $reason }
extract-done =
    Wrote { $path }: { $rows } rows, of which { $known } were known before; { $speed } documents per second
    { $found } of { $values } values stand in their document, with the passage
extract-not-found = { $count } do not: see the columns that end in .found. The model may have made them up, or put them in other words.
extract-cut = { $count } answers had no end after { $tokens } tokens; what was whole by then is there. Those rows say cut under problem.
extract-unread-count = Documents that could not be read and have no row: { $count }. They are named above; --json lists them under unread.
extract-checked =
    Compared with what is right for { $documents } documents ({ $missing } more have no row), in per cent:
    field                               exact       F1

### Asking the documents

help-ask = Answer a question from the documents of a build, with the passages that say so
help-ask-examples =
    Examples:
      kwaya ask mymodel "Mahindi huvunwa lini?"
      kwaya ask mymodel "How is maize kept dry?" --passages
      kwaya ask mymodel "Who chairs the co-operative?" --quote --json
      kwaya ask mymodel --model SmolLM2-360M-Instruct.gguf

    Without a question, several can be asked one after the other. A model that knows chats answers in its own
    words, and what the passages do not say is told apart; any other answer is quoted from the documents.
help-arg-question = What to ask; left out, several questions can be typed
help-flag-count = Passages that an answer is made from
help-flag-quote = Answer in the words of the documents, even where the model knows chats
help-flag-passages = Show the passages too
help-flag-vectors = Find passages also by what this model makes of them, now and from now on; off for words alone. Making that takes long
help-flag-ask-model = The model that writes the answer, instead of that of the build: a folder or a GGUF file
help-flag-ask = Questions about the documents of a build, as lines of JSON with "question", "document" and "answer"
ask-indexing = Making the index
ask-vectors = Making vectors
ask-vectors-gone = The model { $path }, by which passages were found, is not there any more: they are found by their words
ask-asking = Asking
ask-hello = Ask about the documents. An empty line or Ctrl-D ends it.
ask-you = Question
ask-nothing = The documents do not say.
ask-citation = [{ $number }] { $source }, passage { $passage }
ask-unsupported = Not in the passages: { $text }
ask-index = The index of the documents in { $path } cannot be used: { $cause }
    .remedy = Delete that folder and ask again; it is made anew.
ask-index-damaged = The index of the documents in { $path } is not as it was written
    .remedy = Check the disk and run the same command again; the index is made anew.
ask-question-empty = There is no word in the question
    .remedy = Ask with the words that an answer would have in it.
ask-question-long = The question has { $bytes } bytes; { $most } are possible
    .remedy = Ask a shorter question, or several.
ask-model-no-chat = The model { $path } knows no chats, and cannot be told to answer from passages
    .remedy = Name a model that does, such as one whose name ends in Instruct, or leave --model out.
ask-questions = Line { $line } of { $path } cannot be used: { $cause }
    .remedy = A line is a JSON object with "question", and "document" and "answer" where there are some.
ask-questions-none = There is no question in { $path }
    .remedy = Write a JSON object with "question", "document" and "answer" on each line.
ask-measured =
    { $questions } questions, of which { $with } are answered by a document
    The document comes first for { $first } % of these, among the first five for { $five } %; mean reciprocal rank { $mrr }
    { $answered } % of these are answered
ask-measured-refused = Of { $without } questions that no document answers, { $refused } % are answered with: the documents do not say
ask-measured-supported = Of { $answers } answers, { $supported } % are supported in every statement by the passages that they name
ask-measured-right = Of { $known } answers to questions whose answer is known, { $right } % name passages that say it
ask-prompt-system =
    Answer the question from the numbered passages, and from nothing else. Answer in the language of the question, in one to three sentences. End each sentence with the number of the passage that says so, in brackets, such as [1]. If no passage answers the question, say that they do not.
ask-prompt =
    Passages:

    { $passages }

    Question: { $question }

### The server

help-serve = Serve a model: the API that every client of OpenAI speaks, for this computer, or with tokens for others
help-serve-examples =
    Examples:
      kwaya serve mymodel
      kwaya serve SmolLM2-135M-Instruct.gguf --listen 127.0.0.1:9000
      kwaya token add asha --role use mymodel
      kwaya serve mymodel --listen 0.0.0.0:8080

    Every setting can also stand in serve.toml in the folder, such as queue = 32, or in the environment,
    such as KWAYA_SERVE_QUEUE=32. What is typed counts most, then the environment, then the file.
help-flag-config = A file of settings instead of serve.toml in the folder
help-flag-listen = The address and the port to listen at. Beyond this computer, tokens are needed
help-flag-name = What the model is called; the name of its folder or file when left out
help-flag-answers = Answers that are written at once
help-flag-queue = Requests that wait for their turn, of which one user has half at the most; more are refused
help-flag-answer-tokens = Tokens of an answer where a request does not say
help-flag-body = Bytes of a request at the most
help-flag-cache = Memory for all that is read and written at once
help-flag-classifier = A classifier that answers at /v1/classify, as kwaya classify train writes it
help-flag-keep = How much of it is kept for texts that begin alike
help-flag-rate = Requests of one token in a minute
help-flag-body-time = In which a whole request has to come
help-flag-answer-time = In which an answer has to be whole
help-flag-stop-time = In which answers are finished when the server is stopped
help-flag-tls-certificate = A certificate as PEM, with those above it: the server then speaks TLS
help-flag-tls-key = The key of the certificate, as PEM
help-token = Say who may use a server
help-token-examples =
    Examples:
      kwaya token add asha --role use mymodel
      kwaya token list mymodel
      kwaya token remove asha mymodel
help-add = Make a token and show it once
help-add-examples = Example: kwaya token add asha --role use mymodel
help-list = List whose tokens there are, and what they may do
help-list-examples = Example: kwaya token list mymodel
help-remove = Take a token away; a server that runs knows it at once
help-remove-examples = Example: kwaya token remove asha mymodel
help-arg-name = Whose token it is
help-flag-role = What it may do: use, build as well, or administer as well
serve-started =
    { $name } is served at { $address }
    To try it: curl { $address }/v1/chat/completions -H "Content-Type: application/json" -d '{"{"}"model": "{ $name }", "messages": [{"{"}"role": "user", "content": "Habari?"{"}"}]{"}"}'
    Ctrl-C stops it, once the answers under way are whole.
token-made = The token of { $name }, which may { $role }. It is shown this once, so keep it safe:
token-removed = The token of { $name } is gone
token-none = There are no tokens in { $path }
token-file = The file of tokens in { $path } cannot be used: { $cause }
    .remedy = Put a copy of it back, or delete it and make new tokens with: kwaya token add
token-name = { $name } cannot be the name of a token
    .remedy = Use up to 100 letters, digits and the signs - _ . @, for up to 1000 tokens in all.
token-exists = There is a token of { $name } already
    .remedy = Choose another name, or take the old one away with: kwaya token remove { $name }
token-unknown = There is no token of { $name }
    .remedy = kwaya token list shows whose tokens there are.
setting-wrong = { $place } says { $name } = { $value }, which cannot be followed
    .remedy = Possible, for instance: { $allowed }
setting-unknown = { $place } sets { $name }, which is no setting
    .remedy = There are: { $known }
setting-file = The settings in { $path } cannot be read: { $cause }
    .remedy = Write one setting a line, such as queue = 32 or listen = "127.0.0.1:8080".
serve-port = Another program listens at { $listen } already, perhaps a server that you started before
    .remedy = Stop it, or choose another port with --listen.
serve-address = It is not possible to listen at { $listen }: { $cause }
    .remedy = Choose an address of this computer, and a port above 1024, with --listen.
serve-no-tokens = To listen at { $listen }, beyond this computer, there have to be tokens, and there are none in { $path }
    .remedy = Make one for everybody who is to use it: kwaya token add NAME --role use FOLDER
serve-tls = { $path } cannot be used for TLS: { $cause }
    .remedy = Name both, a certificate and the key that belongs to it, as PEM files.
serve-engine-lost = The part of the server that runs the model has broken down
    .remedy = Start the server again; if it happens again, tell the makers of Kwaya what was asked.
serve-internal = Something went wrong in the server
    .remedy = Ask whoever runs it to look at its log.
serve-stopping = The server is being stopped
    .remedy = Ask again in a while.
serve-model-changed = The files of the model are no longer those that were loaded. Answers are still those of the model as it was loaded
    .remedy = Start the server again to use the new files.
serve-path = There is nothing at this address
    .remedy = The API begins with /v1, for instance /v1/models; /openapi.json describes it.
serve-method = This address is not used in this way
    .remedy = /openapi.json says which method each address has.
serve-host = This server answers on this computer alone, and { $host } is not its name
    .remedy = Use http://localhost with its port. Whoever has to be reached by name needs tokens: kwaya token add.
serve-mark = This needs to come from a page of this server, with the mark of its form
    .remedy = A program sends a token: Authorization: Bearer TOKEN. A script of a page sends the mark as X-CSRF-Token.
serve-form = The form is not filled in as it has to be
    .remedy = Go back and fill it in again.
serve-document = There is no such document in the corpus
    .remedy = It may have been taken back, or the corpus was built anew.
serve-content-type = A request has to be JSON, and say so
    .remedy = Send the header Content-Type: application/json, or send the form as its page does.
serve-body-large = The request is larger than { $bytes } bytes
    .remedy = Send less, or ask whoever runs the server for more.
serve-body-slow = The request did not come within { $seconds } seconds
    .remedy = Send it at once.
serve-body-lost = The request ended before it was whole
    .remedy = Send it again.
serve-json = The request is not JSON in UTF-8, at line { $line }, column { $column }: { $cause }
    .remedy = Correct it there and send it again.
serve-missing = { $param } is missing
    .remedy = /openapi.json says what a request holds.
serve-value = { $param } is not possible like this
    .remedy = It has to be { $allowed }.
serve-unsupported = { $param } is not supported here
    .remedy = Leave it out.
serve-tools = This model was not taught to call tools: its chat template has no place for them
    .remedy = Leave out { $param ->
        [messages] messages of the role tool and tool_calls
       *[other] { $param }
    }, or serve a model whose template takes tools, such as Qwen 2.5 or Llama 3.
serve-no-classifier = No classifier is served here
    .remedy = Whoever runs the server names one with --classifier FILE.
serve-vectors-alone = There are no documents in { $path } that could be found by vectors
    .remedy = Serve the folder of a build, or leave the setting vectors out.
serve-no-documents = There are no documents here: a model alone is served
    .remedy = Whoever runs the server starts it on the folder of a build, which has its documents.
serve-documents-making = The documents are not ready yet
    .remedy = Ask again in a while.
serve-model-unknown = There is no model { $name } here
    .remedy = The model is called { $known }.
serve-context = The prompt has { $prompt } tokens, and { $tokens } more are asked for; the model reads { $context } in all
    .remedy = Shorten the prompt, or ask for fewer tokens.
serve-queue-full = Too many requests wait already; there are { $places } places, of which one user has half
    .remedy = Ask again in a while.
serve-answer-slow = The answer did not come to its end within { $seconds } seconds
    .remedy = Ask for fewer tokens, or ask again when there is less to do.
serve-rate = Too many requests; { $rate } a minute are possible
    .remedy = Wait a while.
serve-token-missing = A token is needed
    .remedy = Send the header Authorization: Bearer TOKEN. Whoever runs the server makes tokens.
serve-token-wrong = The token is not known here
    .remedy = Check that it was copied whole, or ask whoever runs the server for another.
serve-role = The token may { $role }; for this it would have to be allowed to { $needed }
    .remedy = Ask whoever runs the server.

### Personal data
privacy-email = e-mail addresses
privacy-phone = telephone numbers
privacy-card = numbers of payment cards
privacy-iban = bank accounts (IBAN)
privacy-ip = network addresses
privacy-coordinates = coordinates
privacy-id = numbers of identity
privacy-money = codes and accounts of money
privacy-name = names
privacy-file = { $path } cannot be used to find personal data: { $cause }
    .remedy = Correct that place in the file. A pack is TOML with [[rule]] entries; a list of names has one name a line.
privacy-rule = The rule "{ $rule }" in { $path } is wrong: { $cause }
    .remedy = Correct the rule, or remove it.
privacy-example-missed = The rule "{ $rule }" in { $path } does not find what it should in: { $example }
    .remedy = Correct the pattern, the words that must stand near, the checksum, or the example. The numbers that a rule finds have five digits or more, or are codes of eight letters and digits or more.
privacy-example-found = The rule "{ $rule }" in { $path } finds something where it should not: { $example }
    .remedy = Make the pattern narrower, ask for words that must stand near, or correct the example.
privacy-country = { $country } is no country whose telephone numbers are known
    .remedy = Write two letters as in ISO 3166, such as TZ or IN.
recipe-entries = { $count } entries
corpus-replaced = Personal data was replaced in the text: { $list }.
help-audit = Show what personal data was replaced, and what may have been missed
help-audit-examples =
    Examples:
      kwaya corpus audit mymodel
      kwaya corpus audit mymodel -n 20 --json

    The places are drawn by hash, so they are the same every time. What was replaced is read again out of the documents,
    and personal data is printed: keep it to yourself.
audit-documents = Looking through the corpus
audit-sources = Reading what was replaced out of the documents
audit-replaced = Replaced in { $documents } documents:
audit-missed = What may have been missed: most of this is harmless. To have more of it replaced, write a pack of rules or a list of names, and name it in the recipe: personal_packs, personal_names under [corpus].
audit-kind = { $what }: { $count } in { $documents } documents
audit-not-read-again = Where a placeholder is shown, the document is gone, has changed, or the rules are others now: what was replaced is stored nowhere.
missed-at = with an at-sign
missed-long-number = numbers of seven digits and more
missed-announced-number = numbers after a word such as tel or account
missed-code = codes of capitals and digits
missed-name-after-words = names after words such as my name is
missed-birth = days of birth
missed-post-box = post boxes
missed-place = places on earth
