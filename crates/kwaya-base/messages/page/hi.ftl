# `kwaya serve` के पन्ने, हिन्दी में।

### On every page

skip = सामग्री पर जाएँ
rooms = कमरे
room-overview = सार
room-data = डेटा
room-training = प्रशिक्षण
room-try = आज़माएँ
language = भाषा
signed-in = { $name } के रूप में भीतर हैं
sign-out = बाहर निकलें
stays-here = आप यहाँ जो लिखते हैं वह इसी मशीन पर रहता है।
made-with = Kwaya { $version } से बना
next-page = अगला पन्ना
previous-page = पिछला पन्ना
page-number = पन्ना { $page }
nothing-here = यहाँ कुछ नहीं है।
show = दिखाएँ
all = सब

### Figures

documents = { $count ->
        [one] { $count } दस्तावेज़
       *[other] { $count } दस्तावेज़
    }
files = { $count ->
        [one] { $count } फ़ाइल
       *[other] { $count } फ़ाइलें
    }
tokens = { $count ->
        [one] { $count } टोकन
       *[other] { $count } टोकन
    }
size-bytes = { $count ->
        [one] { $count } बाइट
       *[other] { $count } बाइट
    }
size-kb = { $count } kB
size-mb = { $count } MB
size-gb = { $count } GB
seconds = { $count } से॰
minutes = { $minutes } मि॰ { $seconds } से॰
hours = { $hours } घं॰ { $minutes } मि॰
percent = { $count }%
month = { $month ->
        [1] जनवरी
        [2] फ़रवरी
        [3] मार्च
        [4] अप्रैल
        [5] मई
        [6] जून
        [7] जुलाई
        [8] अगस्त
        [9] सितंबर
        [10] अक्टूबर
        [11] नवंबर
       *[12] दिसंबर
    }
day = { $day } { $month } { $year }
moment = { $day }, { $time } UTC

### Overview

overview-lead = इस मशीन पर चलता एक भाषा मॉडल। आप जो पूछते हैं वह यहाँ से बाहर नहीं जाता।
overview-built = { $day } को यहीं { $documents } से बना।
overview-try = आज़माएँ
overview-model = मॉडल
model-weights = भार
model-context = एक साथ पढ़ता है
model-vocabulary = शब्द-भंडार
model-layers = परतें
model-family = परिवार
overview-from = यह किससे बना
from-documents = दस्तावेज़
from-text = पाठ
from-languages = भाषाएँ
from-licences = लाइसेंस
from-uses = किसके लिए
from-hash = दस्तावेज़ों की छाप
use-any = कोई भी उपयोग
use-research = शोध
use-education = शिक्षा
use-health-care = स्वास्थ्य सेवा
use-public-service = जन सेवा
use-commercial = व्यापार
overview-quality = यह भाषाओं को कितना जानता है
quality-meaning = पहले कभी न देखे गए पाठ की हर बाइट के लिए बिट: जितने कम, भाषा का ज्ञान उतना अच्छा। साथ में एक प्रोग्राम जो केवल संपीड़न करता है, और प्रशिक्षण से पहले का मॉडल।
quality-language = भाषा
quality-trained = यह मॉडल
quality-compressor = संपीड़क
quality-before = पहले
overview-now = अभी
now-writing = लिखे जा रहे उत्तर
now-waiting = प्रतीक्षा में
now-written = शुरू से अब तक लिखा
now-read = शुरू से अब तक पढ़ा
now-since = कब से चल रहा है
model-changed = लोड होने के बाद मॉडल की फ़ाइलें बदल गई हैं। उत्तर पहले वाले मॉडल के हैं। नई फ़ाइलों के लिए सर्वर फिर से शुरू करें।
overview-machine = यह मशीन
machine-processor = प्रोसेसर
machine-threads = उपयोग में थ्रेड
machine-instructions = निर्देश
machine-memory = मेमोरी
machine-disk = डिस्क
free-of = { $all } में से { $free } खाली
free = { $free } खाली
overview-programs = दूसरे प्रोग्रामों के लिए
programs-meaning = OpenAI की API जानने वाला हर प्रोग्राम इस मॉडल का उपयोग कर सकता है। उसे यह पता चाहिए:
link-api = API का विवरण
link-model-card = मॉडल का कार्ड
link-data-card = डेटा का कार्ड
link-report = निर्माण की रिपोर्ट

### Data

data-lead = { $documents }, { $size } पाठ, { $files } से।
data-browse = दस्तावेज़ देखें
data-left-out = छोड़े गए
data-languages = भाषाएँ
data-language = भाषा
data-documents = दस्तावेज़
data-text = पाठ
data-share = हिस्सा
data-held-out = मापने के लिए रखे
data-sources = स्रोत और उनके लाइसेंस
source-licence = लाइसेंस
source-by = अनुमति किसने दी
source-on = कब से
source-until = कब तक
source-no-end = कोई अंत नहीं
source-for = किसके लिए
data-dropped = क्या छोड़ा गया, और क्यों
data-dropped-lead = { $documents } छोड़े गए। हर कारण वहाँ ले जाता है जो उससे छूटा।
data-dropped-none = कुछ नहीं छोड़ा गया।
dropped-reason = कारण
data-limits = पाठ से क्या अपेक्षा है
limits-lead = हर पाठ मापा जाता है। जो अपनी भाषा के सामान्य से बहुत दूर हो वह छोड़ दिया जाता है।
limits-of = { $language } की सीमाएँ
limit-low = कम से कम
limit-high = अधिक से अधिक
limit-from = कहाँ से
limit-beyond = सीमा से बाहर
origin-stated = नुस्ख़ा
origin-published = शोध
origin-learned = यहीं सीखी
origin-moved = सीखी, फिर ढीली की
data-lengths = दस्तावेज़ कितने लंबे हैं
length-between = { $low } से { $high }
data-formats = प्रारूप
format = प्रारूप
data-private = बदली गई निजी जानकारी
kind = प्रकार
places = जगहें
private-email = ईमेल पते
private-phone = फ़ोन नंबर
private-card = भुगतान कार्ड
private-iban = बैंक खाते
private-ip = नेटवर्क पते
private-coordinates = निर्देशांक
private-id = पहचान संख्याएँ
private-money = पैसे के खाते और कोड
private-name = नाम
twin-of = इसकी जगह रखा गया: { $name }

### A document

document-size = आकार
document-source = स्रोत
document-done = इसके साथ क्या किया गया
document-passage = अंश पर जाएँ
step-extract = { $format } से पाठ लिया ({ $size })
step-decode = { $encoding } कूट में पढ़ा
step-mend = सुधारा: { $characters } अक्षर, { $words } शब्द
step-normalise = व्यवस्थित किया: पहले { $before }, बाद में { $after }
step-cut = लंबे पाठ के { $pieces } में से टुकड़ा { $piece }
step-identify = मिली भाषा: { $language } (भरोसा { $percent })
step-lines = मेन्यू जैसी { $lines } पंक्तियाँ हटाईं
step-paragraphs = दूसरी भाषाओं का { $size } छोड़ा
step-redact = निजी जानकारी की { $places } जगहें बदलीं
step-repeated = दूसरे दस्तावेज़ों में मौजूद { $paragraphs } अनुच्छेद छोड़े
role-user = व्यक्ति
role-assistant = मॉडल
role-system = निर्देश

### Training

training-building = अभी निर्माण चल रहा है।
training-idle = अभी कोई निर्माण नहीं चल रहा।
training-stages = निर्माण के चरण
stage = चरण
stage-corpus = दस्तावेज़ पढ़ना और चुनना
stage-tokenizer = शब्द-भंडार बनाना
stage-extend = शब्द-भंडार में शब्द जोड़ना
stage-tokenize-base = पुराने शब्द-भंडार को मापना
stage-tokenize = पाठ को टोकन में बदलना
stage-train = प्रशिक्षण
stage-merge = सीखे हुए को मिलाना
stage-evaluate = मॉडल को मापना
stage-done = पूरा
stage-next = अभी नहीं
stage-at = { $steps } में से { $step }, लगभग { $left } बाकी
training-curve = मॉडल कैसे सीखता है
curve-meaning = रेखा जितनी नीचे, मॉडल पाठ में आगे क्या आएगा उतना अच्छा बताता है।
curve-training = जिस पाठ से सीखता है
curve-held-out = जो पाठ कभी नहीं देखा
curve-tokens = { $count } टोकन पढ़े
curve-none = प्रशिक्षण शुरू होने पर वक्र दिखता है।
curve-figures = यही अंकों में
training-look-again = फिर देखें
training-cost = अनुमान और सच
cost-forecast = अनुमान
cost-truth = सच
cost-time = समय
cost-memory = मेमोरी
cost-disk = डिस्क
cost-speed = गति
per-second = { $count } टोकन प्रति सेकंड
training-samples = इसने स्वयं क्या लिखा
samples-meaning = मोटे शब्द दिए गए थे; आगे मॉडल ने लिखा।

### Try

try-chat = बातचीत
try-ask = दस्तावेज़ों से पूछें
try-classify = वर्गीकरण
chat-lead = { $model } से बात करें।
chat-warning = इससे ग़लती हो सकती है। ज़रूरी बातें जाँच लें।
chat-message = आपका संदेश
chat-send = भेजें
chat-stop = रोकें
chat-new = नई बातचीत
chat-you = आप
chat-model = मॉडल
chat-cut = उत्तर अपनी अधिकतम लंबाई पर काट दिया गया।
chat-failed = उत्तर बीच में रुक गया।
ask-lead = उत्तर दस्तावेज़ों से आता है, और बताता है कि किनसे।
ask-question = आपका प्रश्न
ask-send = पूछें
ask-sources = अंश
ask-none = दस्तावेज़ों में यह नहीं है।
ask-quoted = दस्तावेज़ों के शब्दों में:
ask-unsupported = मॉडल ने यह भी कहा, जिसका कोई अंश समर्थन नहीं करता:
classify-lead = पाठ को वह लेबल मिलता है जो उस पर सबसे ठीक बैठता है।
classify-text = आपका पाठ
classify-send = वर्गीकृत करें
classify-result = लेबल
classify-unsure = पक्का नहीं: कोई लेबल अलग से नहीं उभरता।
classify-likely = संभावना
classify-because = इसके पक्ष में शब्द

### Signing in

sign-in = भीतर आएँ
sign-in-lead = इस सर्वर को चलाने वाले से आपको एक कुंजी मिलती है।
sign-in-token = कुंजी
sign-in-wrong = यह कुंजी यहाँ नहीं पहचानी गई। देखें कि पूरी नक़ल हुई है, या दूसरी माँगें।

### When something is not possible

error-path = इस पते पर कुछ नहीं है
    .remedy = लिंक पुराना हो सकता है या कोई अक्षर ग़लत। सार से फिर शुरू करें।
error-host = यह सर्वर केवल इसी कंप्यूटर के लिए है
    .remedy = इसे http://localhost और इसके पोर्ट के साथ खोलें।
error-role = आपकी कुंजी इसकी अनुमति नहीं देती
    .remedy = सर्वर चलाने वाले से यह अधिकार माँगें।
error-rate = थोड़े समय में बहुत सारे अनुरोध
    .remedy = एक मिनट रुकें, फिर कोशिश करें।
error-full = बहुत से लोग उत्तर की प्रतीक्षा में हैं
    .remedy = एक मिनट बाद फिर कोशिश करें।
error-making = दस्तावेज़ तैयार किए जा रहे हैं
    .remedy = एक मिनट बाद फिर कोशिश करें।
error-stopping = सर्वर रुकने वाला है
    .remedy = कुछ मिनट बाद फिर कोशिश करें।
error-forged = यह फ़ॉर्म बहुत पुराना है, या इस पन्ने से नहीं आया
    .remedy = पन्ना फिर खोलें और इसे दोबारा भेजें।
error-long = यह बहुत लंबा है
    .remedy = कम पाठ भेजें, या नई बातचीत शुरू करें।
error-slow = उत्तर में बहुत समय लगा
    .remedy = कुछ छोटा पूछें, या बाद में कोशिश करें।
error-form = फ़ॉर्म ठीक से नहीं भरा गया
    .remedy = वापस जाकर इसे फिर भरें।
error-document = यह दस्तावेज़ संग्रह में नहीं है
    .remedy = शायद इसे वापस ले लिया गया, या संग्रह फिर से बना।
error-method = इस पते का उपयोग ऐसे नहीं होता
    .remedy = सार से फिर शुरू करें।
error-internal = सर्वर में कुछ गड़बड़ हुई
    .remedy = फिर कोशिश करें। ऐसा होता रहे तो सर्वर चलाने वाले को बताएँ।

### Why something was left out

reason-empty = फ़ाइल ख़ाली है
reason-too-large = फ़ाइल बहुत बड़ी है
reason-unreadable = फ़ाइल खोली नहीं जा सकी
reason-special-file = दस्तावेज़ नहीं, उपकरण या पाइप है
reason-link-loop = पहले पढ़े गए फ़ोल्डर का लिंक
reason-withdrawn = किसी ने वापस ले लिया
reason-picture = चित्र
reason-unknown-format = ऐसा प्रारूप जो पढ़ा नहीं जा सकता
reason-damaged = फ़ाइल ख़राब है
reason-encrypted = पासवर्ड से बंद है
reason-no-text = बिना पाठ की चित्रों वाली PDF
reason-unreadable-font = PDF जिसके अक्षर पहचाने नहीं जाते
reason-time-limit = पढ़ने में बहुत समय लगा
reason-not-text = यह लिखा हुआ पाठ नहीं है
reason-bad-line = पंक्ति जिसमें न पाठ है न बातचीत
reason-bad-member = संग्रहिका का बंद या असुरक्षित भाग
reason-archive-limit = संग्रहिका जिसमें बहुत अधिक है
reason-no-column = बिना पाठ स्तंभ की तालिका
reason-no-document = आगे भेजने वाला या त्रुटि पन्ना
reason-too-short = पाठ बहुत छोटा है
reason-other-language = ऐसी भाषा में जो नहीं चाहिए
reason-contaminated = इसमें परीक्षा के पाठ का अंश है
reason-exact-duplicate = किसी और दस्तावेज़ जैसा ही पाठ
reason-near-duplicate = किसी और दस्तावेज़ से लगभग मिलता पाठ
reason-repeated-paragraphs = केवल दूसरे दस्तावेज़ों के अनुच्छेद
reason-boilerplate = अधिकतर वे पंक्तियाँ जो स्रोत के कई पन्नों में हैं
reason-few-words = बहुत कम शब्द
reason-few-sentences = बहुत कम वाक्य
reason-mean-word-length = शब्द असामान्य रूप से छोटे या लंबे
reason-letters = अक्षरों से अधिक अंक और चिह्न
reason-alphabetic-words = बिना अक्षर के बहुत शब्द
reason-symbol-ratio = बहुत अधिक # या …
reason-bullet-lines = लगभग हर पंक्ति सूची की है
reason-ellipsis-lines = बहुत पंक्तियाँ … पर कटी हैं
reason-curly-brackets = प्रोग्राम जैसे धनुकोष्ठक
reason-lorem-ipsum = भराव का पाठ (lorem ipsum)
reason-unended-lines = लगभग कोई पंक्ति वाक्य जैसी नहीं ख़त्म होती
reason-short-lines = अधिकतर पंक्तियाँ बहुत छोटी हैं
reason-line-breaks = शब्दों की तुलना में बहुत पंक्तियाँ
reason-duplicate-lines = बहुत पंक्तियाँ दोहराई गई हैं
reason-duplicate-line-characters = अधिकतर पाठ दोहराई पंक्तियों में
reason-duplicate-paragraphs = बहुत अनुच्छेद दोहराए गए हैं
reason-duplicate-paragraph-characters = अधिकतर पाठ दोहराए अनुच्छेदों में
reason-top-ngram = कुछ ही शब्द बार-बार
reason-duplicate-ngrams = अधिकतर पाठ दोहराए वाक्यांशों में
reason-stop-words = भाषा के आम शब्द लगभग नहीं
reason-word-order = शब्दों का क्रम भाषा जैसा नहीं
reason-gibberish = अक्षरों का क्रम भाषा जैसा नहीं
reason-word-list = आपकी सूचियों के बहुत शब्द
