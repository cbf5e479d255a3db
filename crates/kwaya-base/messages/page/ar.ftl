# صفحات `kwaya serve` بالعربية.

### On every page

skip = إلى المحتوى
rooms = الغرف
room-overview = نظرة عامة
room-data = البيانات
room-training = التدريب
room-try = جرِّب
language = اللغة
signed-in = أنت داخل باسم { $name }
sign-out = خروج
stays-here = ما تكتبه هنا يبقى على هذا الجهاز.
made-with = صُنع بواسطة Kwaya { $version }
next-page = الصفحة التالية
previous-page = الصفحة السابقة
page-number = الصفحة { $page }
nothing-here = لا شيء هنا.
show = اعرض
all = الكل

### Figures

documents = { $count ->
        [zero] لا مستندات
        [one] مستند واحد
        [two] مستندان
        [few] { $count } مستندات
        [many] { $count } مستندًا
       *[other] { $count } مستند
    }
files = { $count ->
        [zero] لا ملفات
        [one] ملف واحد
        [two] ملفان
        [few] { $count } ملفات
        [many] { $count } ملفًا
       *[other] { $count } ملف
    }
tokens = { $count ->
        [zero] لا رموز
        [one] رمز واحد
        [two] رمزان
        [few] { $count } رموز
        [many] { $count } رمزًا
       *[other] { $count } رمز
    }
size-bytes = { $count ->
        [zero] 0 بايت
        [one] بايت واحد
        [two] بايتان
        [few] { $count } بايتات
        [many] { $count } بايتًا
       *[other] { $count } بايت
    }
size-kb = { $count } ك.ب
size-mb = { $count } م.ب
size-gb = { $count } ج.ب
seconds = { $count } ث
minutes = { $minutes } د { $seconds } ث
hours = { $hours } س { $minutes } د
percent = { $count }%
month = { $month ->
        [1] يناير
        [2] فبراير
        [3] مارس
        [4] أبريل
        [5] مايو
        [6] يونيو
        [7] يوليو
        [8] أغسطس
        [9] سبتمبر
        [10] أكتوبر
        [11] نوفمبر
       *[12] ديسمبر
    }
day = { $day } { $month } { $year }
moment = { $day }، { $time } UTC

### Overview

overview-lead = نموذج لغوي على هذا الجهاز. لا شيء مما تسأله عنه يخرج من هنا.
overview-built = بُني هنا في { $day } من { $documents }.
overview-try = جرِّبه
overview-model = النموذج
model-weights = الأوزان
model-context = يقرأ دفعة واحدة
model-vocabulary = المفردات
model-layers = الطبقات
model-family = العائلة
overview-from = مما بُني
from-documents = المستندات
from-text = النص
from-languages = اللغات
from-licences = الرخص
from-uses = الغرض منه
from-hash = بصمة المستندات
use-any = أي استعمال
use-research = البحث
use-education = التعليم
use-health-care = الرعاية الصحية
use-public-service = الخدمة العامة
use-commercial = التجارة
overview-quality = مدى معرفته باللغات
quality-meaning = عدد البتات لكل بايت من نص لم يره قط: كلما قلّ العدد كانت معرفته باللغة أفضل. وإلى جانبه برنامج يضغط فقط، والنموذج قبل تدريبه.
quality-language = اللغة
quality-trained = هذا النموذج
quality-compressor = الضاغط
quality-before = قبل التدريب
overview-now = الآن
now-writing = إجابات تُكتب
now-waiting = في الانتظار
now-written = كُتب منذ البدء
now-read = قُرئ منذ البدء
now-since = يعمل منذ
model-changed = تغيّرت ملفات النموذج منذ تحميله. الإجابات من النموذج كما كان. أعد تشغيل الخادم لاستعمال الملفات الجديدة.
overview-machine = هذا الجهاز
machine-processor = المعالج
machine-threads = الخيوط المستعملة
machine-instructions = التعليمات
machine-memory = الذاكرة
machine-disk = القرص
free-of = { $free } متاحة من { $all }
free = { $free } متاحة
overview-programs = للبرامج الأخرى
programs-meaning = كل برنامج يعرف واجهة OpenAI البرمجية يستطيع استعمال هذا النموذج. يحتاج إلى هذا العنوان:
link-api = وصف الواجهة البرمجية
link-model-card = بطاقة النموذج
link-data-card = بطاقة البيانات
link-report = تقرير البناء

### Data

data-lead = { $documents }، فيها { $size } من النص، مأخوذة من { $files }.
data-browse = تصفَّح المستندات
data-left-out = المستبعَد
data-languages = اللغات
data-language = اللغة
data-documents = المستندات
data-text = النص
data-share = النسبة
data-held-out = محفوظ للقياس
data-sources = المصادر ورخصها
source-licence = الرخصة
source-by = سمح بها
source-on = منذ
source-until = حتى
source-no-end = بلا نهاية
source-for = من أجل
data-dropped = ما استُبعد، ولماذا
data-dropped-lead = المستبعَد: { $documents }. كل سبب يقود إلى ما استُبعد به.
data-dropped-none = لم يُستبعد شيء.
dropped-reason = السبب
data-limits = ما يُطلب من النص
limits-lead = يُقاس كل نص. وما كان بعيدًا جدًا عن المعتاد في لغته يُستبعد.
limits-of = حدود { $language }
limit-low = على الأقل
limit-high = على الأكثر
limit-from = من أين
limit-beyond = نصوص خارجها
origin-stated = الوصفة
origin-published = البحث العلمي
origin-learned = استُنتج هنا
origin-moved = استُنتج ثم خُفِّف
data-lengths = أطوال المستندات
length-between = من { $low } إلى { $high }
data-formats = الصيغ
format = الصيغة
data-private = بيانات شخصية استُبدلت
kind = النوع
places = المواضع
private-email = عناوين البريد الإلكتروني
private-phone = أرقام الهاتف
private-card = بطاقات الدفع
private-iban = حسابات مصرفية
private-ip = عناوين الشبكة
private-coordinates = إحداثيات
private-id = أرقام الهوية
private-money = حسابات ورموز مالية
private-name = أسماء
twin-of = بقي بدلًا منه: { $name }

### A document

document-size = الحجم
document-source = المصدر
document-done = ما جرى عليه
document-passage = إلى المقطع
step-extract = أُخذ النص من { $format } ({ $size })
step-decode = قُرئ بالترميز { $encoding }
step-mend = أُصلح: { $characters } حرفًا و{ $words } كلمة
step-normalise = رُتِّب: { $before } قبلُ، { $after } بعدُ
step-cut = القطعة { $piece } من { $pieces } من نص طويل
step-identify = اللغة: { $language } (بثقة { $percent })
step-lines = سطور القوائم وما شابهها التي أُزيلت: { $lines }
step-paragraphs = تُرك بلغات أخرى: { $size }
step-redact = مواضع البيانات الشخصية التي استُبدلت: { $places }
step-repeated = فقرات تُركت لأنها في مستندات أخرى: { $paragraphs }
role-user = شخص
role-assistant = النموذج
role-system = تعليمات

### Training

training-building = يجري بناء الآن.
training-idle = لا يجري بناء الآن.
training-stages = خطوات البناء
stage = الخطوة
stage-corpus = قراءة المستندات واختيارها
stage-tokenizer = صنع المفردات
stage-extend = إضافة كلمات إلى المفردات
stage-tokenize-base = قياس المفردات القديمة
stage-tokenize = تحويل النص إلى رموز
stage-train = التدريب
stage-merge = دمج ما تُعُلِّم
stage-evaluate = قياس النموذج
stage-done = تم
stage-next = ليس بعد
stage-at = { $step } من { $steps }، بقي نحو { $left }
training-curve = كيف يتعلم النموذج
curve-meaning = كلما انخفض الخط كان توقّع النموذج لما يلي في النص أفضل.
curve-training = نص يتدرب عليه
curve-held-out = نص لم يره قط
curve-tokens = رموز قُرئت: { $count }
curve-none = يظهر المنحنى عندما يبدأ تدريب.
curve-figures = الشيء نفسه بالأرقام
training-look-again = انظر مجددًا
training-cost = التوقع والواقع
cost-forecast = التوقع
cost-truth = الواقع
cost-time = الوقت
cost-memory = الذاكرة
cost-disk = القرص
cost-speed = السرعة
per-second = رموز في الثانية: { $count }
training-samples = ما كتبه وحده
samples-meaning = الكلمات بالخط الغليظ أُعطيت له؛ ثم أكمل النموذج.

### Try

try-chat = محادثة
try-ask = اسأل المستندات
try-classify = صنِّف
chat-lead = تحدَّث مع { $model }.
chat-warning = قد يخطئ. تحقَّق مما يهم.
chat-message = رسالتك
chat-send = أرسل
chat-stop = أوقف
chat-new = محادثة جديدة
chat-you = أنت
chat-model = النموذج
chat-cut = قُطعت الإجابة عند أقصى طول لها.
chat-failed = انقطعت الإجابة.
ask-lead = الإجابة من المستندات، وتذكر من أيها.
ask-question = سؤالك
ask-send = اسأل
ask-sources = المقاطع
ask-none = المستندات لا تذكر ذلك.
ask-quoted = بكلمات المستندات:
ask-unsupported = قال النموذج أيضًا ما لا يسنده أي مقطع:
classify-lead = يُعطى النص الوسم الأنسب له.
classify-text = نصك
classify-send = صنِّف
classify-result = الوسم
classify-unsure = غير مؤكد: لا وسم يبرز.
classify-likely = الاحتمال
classify-because = كلمات رجّحته

### Signing in

sign-in = دخول
sign-in-lead = يعطيك القائم على هذا الخادم رمز دخول.
sign-in-token = رمز الدخول
sign-in-wrong = هذا الرمز غير معروف هنا. تأكد أنه نُسخ كاملًا، أو اطلب غيره.

### When something is not possible

error-path = لا شيء في هذا العنوان
    .remedy = قد يكون الرابط قديمًا أو فيه حرف خطأ. ابدأ من النظرة العامة.
error-host = هذا الخادم لهذا الحاسوب وحده
    .remedy = افتحه على http://localhost مع رقم منفذه.
error-role = رمزك لا يسمح بهذا
    .remedy = اطلب هذا الحق من القائم على الخادم.
error-rate = طلبات كثيرة في وقت قصير
    .remedy = انتظر دقيقة ثم حاول مجددًا.
error-full = كثيرون غيرك ينتظرون إجابات
    .remedy = حاول مجددًا بعد دقيقة.
error-making = يجري تجهيز المستندات
    .remedy = حاول مجددًا بعد دقيقة.
error-stopping = الخادم على وشك التوقف
    .remedy = حاول مجددًا بعد دقائق.
error-forged = هذه الاستمارة قديمة جدًا، أو لم تأتِ من هذه الصفحة
    .remedy = افتح الصفحة من جديد وأرسلها مرة أخرى.
error-long = هذا طويل جدًا
    .remedy = أرسل نصًا أقل، أو ابدأ محادثة جديدة.
error-slow = استغرقت الإجابة وقتًا طويلًا
    .remedy = اطلب شيئًا أقصر، أو حاول لاحقًا.
error-form = لم تُملأ الاستمارة كما ينبغي
    .remedy = ارجع واملأها من جديد.
error-document = هذا المستند ليس في المجموعة
    .remedy = ربما سُحب، أو بُنيت المجموعة من جديد.
error-method = لا يُستعمل هذا العنوان هكذا
    .remedy = ابدأ من النظرة العامة.
error-internal = حدث خطأ في الخادم
    .remedy = حاول مجددًا. إن استمر فأخبر القائم على الخادم.

### Why something was left out

reason-empty = الملف فارغ
reason-too-large = الملف كبير جدًا
reason-unreadable = تعذّر فتح الملف
reason-special-file = ليس مستندًا بل جهاز أو أنبوب
reason-link-loop = رابط يعود إلى مجلد قُرئ
reason-withdrawn = سحبه صاحبه
reason-picture = صورة
reason-unknown-format = صيغة لا تمكن قراءتها
reason-damaged = الملف تالف
reason-encrypted = مقفل بكلمة سر
reason-no-text = ملف PDF من صور بلا نص
reason-unreadable-font = ملف PDF لا تُعرف حروفه
reason-time-limit = استغرقت قراءته وقتًا طويلًا
reason-not-text = ليس نصًا متصلًا
reason-bad-line = سطر لا نص فيه ولا محادثة
reason-bad-member = جزء مقفل أو غير آمن من أرشيف
reason-archive-limit = أرشيف فيه أكثر مما ينبغي
reason-no-column = جدول بلا عمود للنص
reason-no-document = صفحة تحويل أو خطأ أو ما شابه
reason-too-short = النص قصير جدًا
reason-other-language = بلغة غير مطلوبة
reason-contaminated = فيه مقطع من نص اختبار
reason-exact-duplicate = نص مطابق لمستند آخر
reason-near-duplicate = نص يكاد يطابق مستندًا آخر
reason-repeated-paragraphs = ليس فيه إلا فقرات من مستندات أخرى
reason-boilerplate = معظمه سطور تتكرر في صفحات مصدره
reason-few-words = كلماته قليلة جدًا
reason-few-sentences = جمله قليلة جدًا
reason-mean-word-length = كلمات أقصر أو أطول من المعتاد
reason-letters = أرقام وعلامات أكثر من الحروف
reason-alphabetic-words = كلمات كثيرة بلا حروف
reason-symbol-ratio = علامات # أو … كثيرة جدًا
reason-bullet-lines = معظم سطوره نقاط في قائمة
reason-ellipsis-lines = سطور كثيرة مقطوعة بـ …
reason-curly-brackets = أقواس معقوفة كما في البرامج
reason-lorem-ipsum = نص للحشو (lorem ipsum)
reason-unended-lines = لا يكاد سطر ينتهي كما تنتهي الجملة
reason-short-lines = معظم السطور قصيرة جدًا
reason-line-breaks = سطور كثيرة على عدد كلماته
reason-duplicate-lines = سطور كثيرة مكررة
reason-duplicate-line-characters = كثير من النص في سطور مكررة
reason-duplicate-paragraphs = فقرات كثيرة مكررة
reason-duplicate-paragraph-characters = كثير من النص في فقرات مكررة
reason-top-ngram = كلمات قليلة تتكرر مرارًا
reason-duplicate-ngrams = كثير من النص في عبارات مكررة
reason-stop-words = لا يكاد يحوي كلمات اللغة الشائعة
reason-word-order = ترتيب كلمات غريب عن اللغة
reason-gibberish = ترتيب حروف غريب عن اللغة
reason-word-list = كلمات كثيرة من قوائمك
