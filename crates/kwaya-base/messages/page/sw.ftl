# Kurasa za `kwaya serve`, kwa Kiswahili.

### On every page

skip = Nenda kwenye maudhui
rooms = Vyumba
room-overview = Muhtasari
room-data = Data
room-training = Mafunzo
room-try = Jaribu
language = Lugha
signed-in = Umeingia kama { $name }
sign-out = Toka
stays-here = Unachoandika hapa kinabaki kwenye mashine hii.
made-with = Imetengenezwa kwa Kwaya { $version }
next-page = Ukurasa unaofuata
previous-page = Ukurasa uliotangulia
page-number = Ukurasa wa { $page }
nothing-here = Hapa hakuna kitu.
show = Onyesha
all = Zote

### Figures

documents = { $count ->
        [one] hati moja
       *[other] hati { $count }
    }
files = { $count ->
        [one] faili moja
       *[other] faili { $count }
    }
tokens = { $count ->
        [one] tokeni moja
       *[other] tokeni { $count }
    }
size-bytes = { $count ->
        [one] baiti moja
       *[other] baiti { $count }
    }
size-kb = kB { $count }
size-mb = MB { $count }
size-gb = GB { $count }
seconds = sek { $count }
minutes = dak { $minutes } sek { $seconds }
hours = saa { $hours } dak { $minutes }
percent = { $count } %
month = { $month ->
        [1] Januari
        [2] Februari
        [3] Machi
        [4] Aprili
        [5] Mei
        [6] Juni
        [7] Julai
        [8] Agosti
        [9] Septemba
        [10] Oktoba
        [11] Novemba
       *[12] Desemba
    }
day = { $day } { $month } { $year }
moment = { $day }, { $time } UTC

### Overview

overview-lead = Modeli ya lugha kwenye mashine hii. Hakuna unachouliza kinachotoka nje ya jengo hili.
overview-built = Ilijengwa hapa tarehe { $day } kutokana na { $documents }.
overview-try = Ijaribu
overview-model = Modeli
model-weights = Uzito
model-context = Husoma kwa pamoja
model-vocabulary = Msamiati
model-layers = Tabaka
model-family = Familia
overview-from = Ilijengwa kutokana na nini
from-documents = Hati
from-text = Maandishi
from-languages = Lugha
from-licences = Leseni
from-uses = Imekusudiwa
from-hash = Alama ya hati zote
use-any = matumizi yoyote
use-research = utafiti
use-education = elimu
use-health-care = huduma za afya
use-public-service = huduma za umma
use-commercial = biashara
overview-quality = Inazijua lugha kwa kiasi gani
quality-meaning = Biti kwa kila baiti ya maandishi ambayo haikuwahi kuyaona: zikiwa chache, inaijua lugha vizuri zaidi. Kando yake, programu inayobana tu, na modeli kabla ya mafunzo.
quality-language = Lugha
quality-trained = Modeli hii
quality-compressor = Kibanaji
quality-before = Kabla
overview-now = Sasa hivi
now-writing = Majibu yanayoandikwa
now-waiting = Yanayosubiri
now-written = Zilizoandikwa tangu kuanza
now-read = Zilizosomwa tangu kuanza
now-since = Inafanya kazi tangu
model-changed = Faili za modeli zimebadilika tangu ilipopakiwa. Majibu ni ya modeli ilivyokuwa. Anzisha seva upya ili kutumia faili mpya.
overview-machine = Mashine hii
machine-processor = Kichakataji
machine-threads = Nyuzi zinazotumika
machine-instructions = Maagizo
machine-memory = Kumbukumbu
machine-disk = Diski
free-of = { $free } wazi kati ya { $all }
free = { $free } wazi
overview-programs = Kwa programu nyingine
programs-meaning = Kila programu inayojua API ya OpenAI inaweza kutumia modeli hii. Inahitaji anwani hii:
link-api = Maelezo ya API
link-model-card = Kadi ya modeli
link-data-card = Kadi ya data
link-report = Ripoti ya ujenzi

### Data

data-lead = { $documents } zenye { $size } za maandishi, kutoka { $files }.
data-browse = Tazama hati
data-left-out = Zilizoachwa
data-languages = Lugha
data-language = Lugha
data-documents = Hati
data-text = Maandishi
data-share = Sehemu
data-held-out = Zilizowekwa kwa kupimia
data-sources = Vyanzo na leseni zake
source-licence = Leseni
source-by = Imeruhusiwa na
source-on = Tangu
source-until = Hadi
source-no-end = bila mwisho
source-for = Kwa
data-dropped = Kilichoachwa, na sababu yake
data-dropped-lead = { $documents } ziliachwa. Kila sababu inakupeleka kwenye kilichoachwa.
data-dropped-none = Hakuna kilichoachwa.
dropped-reason = Sababu
data-limits = Maandishi yanatakiwa yaweje
limits-lead = Kila andiko hupimwa. Lililo mbali sana na kawaida ya lugha yake huachwa.
limits-of = Mipaka ya { $language }
limit-low = Angalau
limit-high = Si zaidi ya
limit-from = Umetoka wapi
limit-beyond = Yaliyovuka
origin-stated = mapishi
origin-published = utafiti
origin-learned = umejifunzwa hapa
origin-moved = umejifunzwa, kisha kulegezwa
data-lengths = Urefu wa hati
length-between = { $low } hadi { $high }
data-formats = Miundo
format = Muundo
data-private = Taarifa binafsi zilizobadilishwa
kind = Aina
places = Mahali
private-email = Anwani za barua pepe
private-phone = Namba za simu
private-card = Kadi za malipo
private-iban = Akaunti za benki
private-ip = Anwani za mtandao
private-coordinates = Majira ya mahali
private-id = Namba za utambulisho
private-money = Akaunti na misimbo ya pesa
private-name = Majina
twin-of = Iliyobaki badala yake: { $name }

### A document

document-size = Ukubwa
document-source = Chanzo
document-done = Kilichofanyiwa hati hii
document-passage = Nenda kwenye kifungu
step-extract = Maandishi yalitolewa kwenye { $format } ({ $size })
step-decode = Ilisomwa kwa usimbaji { $encoding }
step-mend = Ilirekebishwa: herufi { $characters }, maneno { $words }
step-normalise = Ilipangwa: { $before } kabla, { $after } baada
step-cut = Kipande cha { $piece } kati ya { $pieces } vya andiko refu
step-identify = Lugha iliyopatikana: { $language } (hakika { $percent })
step-lines = Mistari { $lines } ya menyu na mfano wake iliondolewa
step-paragraphs = { $size } za lugha nyingine ziliachwa
step-redact = Mahali { $places } penye taarifa binafsi palibadilishwa
step-repeated = Aya { $paragraphs } zilizo kwenye hati nyingine ziliachwa
role-user = Mtu
role-assistant = Modeli
role-system = Agizo

### Training

training-building = Ujenzi unaendelea sasa.
training-idle = Hakuna ujenzi unaoendelea sasa.
training-stages = Hatua za ujenzi
stage = Hatua
stage-corpus = Kusoma na kuchagua hati
stage-tokenizer = Kutengeneza msamiati
stage-extend = Kuongeza maneno kwenye msamiati
stage-tokenize-base = Kupima msamiati wa zamani
stage-tokenize = Kugeuza maandishi kuwa tokeni
stage-train = Kufunza
stage-merge = Kuunganisha kilichojifunzwa
stage-evaluate = Kupima modeli
stage-done = Tayari
stage-next = Bado
stage-at = { $step } kati ya { $steps }, imebaki kama { $left }
training-curve = Modeli inavyojifunza
curve-meaning = Mstari ukiwa chini zaidi, modeli inabashiri vizuri zaidi kinachofuata kwenye maandishi.
curve-training = Maandishi inayojifunzia
curve-held-out = Maandishi ambayo haijawahi kuyaona
curve-tokens = tokeni { $count } zimesomwa
curve-none = Mchoro unaonekana mafunzo yanapoanza.
curve-figures = Yaleyale kwa tarakimu
training-look-again = Tazama tena
training-cost = Makadirio na ukweli
cost-forecast = Makadirio
cost-truth = Ukweli
cost-time = Muda
cost-memory = Kumbukumbu
cost-disk = Diski
cost-speed = Kasi
per-second = tokeni { $count } kwa sekunde
training-samples = Ilichoandika yenyewe
samples-meaning = Maneno yenye wino mzito ilipewa; modeli iliendelea kutoka hapo.

### Try

try-chat = Zungumza
try-ask = Uliza hati
try-classify = Ainisha
chat-lead = Zungumza na { $model }.
chat-warning = Inaweza kukosea. Hakiki yaliyo muhimu.
chat-message = Ujumbe wako
chat-send = Tuma
chat-stop = Simamisha
chat-new = Mazungumzo mapya
chat-you = Wewe
chat-model = Modeli
chat-cut = Jibu lilikatwa lilipofika urefu wa mwisho.
chat-failed = Jibu lilikatika.
ask-lead = Jibu linatoka kwenye hati, na linasema ni zipi.
ask-question = Swali lako
ask-send = Uliza
ask-sources = Vifungu
ask-none = Hati hazisemi.
ask-quoted = Kwa maneno ya hati zenyewe:
ask-unsupported = Modeli ilisema pia haya, ambayo hakuna kifungu kinachoyaunga mkono:
classify-lead = Andiko linapewa lebo inayolifaa zaidi.
classify-text = Andiko lako
classify-send = Ainisha
classify-result = Lebo
classify-unsure = Si hakika: hakuna lebo inayojitokeza.
classify-likely = Uwezekano
classify-because = Maneno yaliyoiunga mkono

### Signing in

sign-in = Ingia
sign-in-lead = Anayeendesha seva hii atakupa tokeni ya kuingilia.
sign-in-token = Tokeni ya kuingilia
sign-in-wrong = Tokeni hiyo haijulikani hapa. Hakikisha imenakiliwa yote, au omba nyingine.

### When something is not possible

error-path = Hakuna kitu kwenye anwani hii
    .remedy = Huenda kiungo ni cha zamani, au herufi ina kosa. Anza tena kwenye muhtasari.
error-host = Seva hii ni ya kompyuta hii tu
    .remedy = Ifungue kwa http://localhost pamoja na namba ya mlango wake.
error-role = Tokeni yako hairuhusu jambo hili
    .remedy = Omba ruhusa hiyo kwa anayeendesha seva.
error-rate = Maombi mengi mno kwa muda mfupi
    .remedy = Subiri dakika moja, kisha ujaribu tena.
error-full = Wengine wengi wanasubiri majibu
    .remedy = Jaribu tena baada ya dakika moja.
error-making = Hati zinaandaliwa
    .remedy = Jaribu tena baada ya dakika moja.
error-stopping = Seva inakaribia kusimama
    .remedy = Jaribu tena baada ya dakika chache.
error-forged = Fomu hii ni ya zamani mno, au haikutoka kwenye ukurasa huu
    .remedy = Fungua ukurasa upya na uitume tena.
error-long = Ni ndefu mno
    .remedy = Tuma maandishi machache, au anza mazungumzo mapya.
error-slow = Jibu lilichukua muda mrefu mno
    .remedy = Uliza kitu kifupi zaidi, au jaribu baadaye.
error-form = Fomu haikujazwa inavyotakiwa
    .remedy = Rudi nyuma na uijaze tena.
error-document = Hati hii haimo kwenye mkusanyiko
    .remedy = Huenda ilirudishwa kwa mwenyewe, au mkusanyiko ulijengwa upya.
error-method = Anwani hii haitumiki hivi
    .remedy = Anza tena kwenye muhtasari.
error-internal = Kuna hitilafu kwenye seva
    .remedy = Jaribu tena. Ikiendelea, mwambie anayeendesha seva.

### Why something was left out

reason-empty = Faili ni tupu
reason-too-large = Faili ni kubwa mno
reason-unreadable = Faili haikuweza kufunguliwa
reason-special-file = Si hati bali kifaa au bomba
reason-link-loop = Kiungo kinachorudi kwenye folda iliyosomwa
reason-withdrawn = Mtu aliirudisha kwake
reason-picture = Picha
reason-unknown-format = Muundo usioweza kusomwa
reason-damaged = Faili imeharibika
reason-encrypted = Imefungwa kwa nenosiri
reason-no-text = PDF ya picha, bila maandishi
reason-unreadable-font = PDF ambayo herufi zake hazijulikani
reason-time-limit = Kuisoma kulichukua muda mrefu mno
reason-not-text = Si maandishi ya mfululizo
reason-bad-line = Mstari usio na andiko wala mazungumzo
reason-bad-member = Sehemu ya kumbukizo iliyofungwa au isiyo salama
reason-archive-limit = Kumbukizo lenye vitu vingi mno
reason-no-column = Jedwali lisilo na safu ya maandishi
reason-no-document = Ukurasa wa kuelekeza, wa kosa au mfano wake
reason-too-short = Andiko ni fupi mno
reason-other-language = Kwa lugha isiyotakiwa
reason-contaminated = Lina kifungu cha andiko la majaribio
reason-exact-duplicate = Andiko lilelile la hati nyingine
reason-near-duplicate = Karibu andiko lilelile la hati nyingine
reason-repeated-paragraphs = Aya zilizo kwenye hati nyingine tu
reason-boilerplate = Hasa mistari iliyo kwenye kurasa nyingi za chanzo chake
reason-few-words = Maneno machache mno
reason-few-sentences = Sentensi chache mno
reason-mean-word-length = Maneno mafupi au marefu kupita kawaida
reason-letters = Tarakimu na alama kuliko herufi
reason-alphabetic-words = Maneno mengi mno yasiyo na herufi
reason-symbol-ratio = Alama nyingi mno za # au …
reason-bullet-lines = Karibu mistari yote ni ya orodha
reason-ellipsis-lines = Mistari mingi imekatwa kwa …
reason-curly-brackets = Mabano ya mkunjo, kama kwenye programu
reason-lorem-ipsum = Maandishi ya kujazia (lorem ipsum)
reason-unended-lines = Karibu hakuna mstari unaoisha kama sentensi
reason-short-lines = Mistari mingi ni mifupi sana
reason-line-breaks = Mistari mingi mno kwa maneno yake
reason-duplicate-lines = Mistari mingi imerudiwa
reason-duplicate-line-characters = Sehemu kubwa ni mistari iliyorudiwa
reason-duplicate-paragraphs = Aya nyingi zimerudiwa
reason-duplicate-paragraph-characters = Sehemu kubwa ni aya zilizorudiwa
reason-top-ngram = Maneno machache tena na tena
reason-duplicate-ngrams = Sehemu kubwa ni maneno yaliyorudiwa
reason-stop-words = Karibu hakuna maneno ya kawaida ya lugha
reason-word-order = Mpangilio wa maneno usio wa lugha hii
reason-gibberish = Mpangilio wa herufi usio wa lugha hii
reason-word-list = Maneno mengi mno ya orodha zako
