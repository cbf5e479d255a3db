# Страницы `kwaya serve` на русском языке.

### On every page

skip = К содержанию
rooms = Разделы
room-overview = Обзор
room-data = Данные
room-training = Обучение
room-try = Попробовать
language = Язык
signed-in = Вход выполнен: { $name }
sign-out = Выйти
stays-here = То, что вы здесь пишете, остаётся на этой машине.
made-with = Сделано с помощью Kwaya { $version }
next-page = Следующая страница
previous-page = Предыдущая страница
page-number = Страница { $page }
nothing-here = Здесь ничего нет.
show = Показать
all = Все

### Figures

documents = { $count ->
        [one] { $count } документ
        [few] { $count } документа
       *[other] { $count } документов
    }
files = { $count ->
        [one] { $count } файл
        [few] { $count } файла
       *[other] { $count } файлов
    }
tokens = { $count ->
        [one] { $count } токен
        [few] { $count } токена
       *[other] { $count } токенов
    }
size-bytes = { $count ->
        [one] { $count } байт
        [few] { $count } байта
       *[other] { $count } байт
    }
size-kb = { $count } кБ
size-mb = { $count } МБ
size-gb = { $count } ГБ
seconds = { $count } с
minutes = { $minutes } мин { $seconds } с
hours = { $hours } ч { $minutes } мин
percent = { $count } %
month = { $month ->
        [1] января
        [2] февраля
        [3] марта
        [4] апреля
        [5] мая
        [6] июня
        [7] июля
        [8] августа
        [9] сентября
        [10] октября
        [11] ноября
       *[12] декабря
    }
day = { $day } { $month } { $year } г.
moment = { $day }, { $time } UTC

### Overview

overview-lead = Языковая модель на этой машине. То, о чём вы её спрашиваете, никуда отсюда не уходит.
overview-built = Построена здесь { $day }. В основе: { $documents }.
overview-try = Попробовать
overview-model = Модель
model-weights = Веса
model-context = Читает за раз
model-vocabulary = Словарь
model-layers = Слои
model-family = Семейство
overview-from = Из чего она построена
from-documents = Документы
from-text = Текст
from-languages = Языки
from-licences = Лицензии
from-uses = Предназначена
from-hash = Отпечаток документов
use-any = для любых целей
use-research = для исследований
use-education = для обучения
use-health-care = для здравоохранения
use-public-service = для государственной службы
use-commercial = для коммерции
overview-quality = Насколько хорошо она знает языки
quality-meaning = Битов на каждый байт текста, которого она не видела: чем меньше, тем лучше она знает язык. Рядом программа, которая только сжимает, и модель до обучения.
quality-language = Язык
quality-trained = Эта модель
quality-compressor = Сжатие
quality-before = До обучения
overview-now = Сейчас
now-writing = Пишется ответов
now-waiting = В очереди
now-written = Написано с запуска
now-read = Прочитано с запуска
now-since = Работает с
model-changed = Файлы модели изменились после загрузки. Ответы даёт прежняя модель. Перезапустите сервер, чтобы взять новые файлы.
overview-machine = Эта машина
machine-processor = Процессор
machine-threads = Потоки в работе
machine-instructions = Инструкции
machine-memory = Память
machine-disk = Диск
free-of = свободно { $free } из { $all }
free = свободно { $free }
overview-programs = Для других программ
programs-meaning = Этой моделью может пользоваться любая программа, знающая API OpenAI. Ей нужен этот адрес:
link-api = Описание API
link-model-card = Карточка модели
link-data-card = Карточка данных
link-report = Отчёт о построении

### Data

data-lead = { $documents }, { $size } текста. Источник: { $files }.
data-browse = Смотреть документы
data-left-out = Отброшенное
data-languages = Языки
data-language = Язык
data-documents = Документы
data-text = Текст
data-share = Доля
data-held-out = Отложено для измерений
data-sources = Источники и их лицензии
source-licence = Лицензия
source-by = Разрешил
source-on = С
source-until = До
source-no-end = без срока
source-for = Назначение
data-dropped = Что отброшено и почему
data-dropped-lead = Отброшено: { $documents }. Каждая причина ведёт к тому, что по ней отброшено.
data-dropped-none = Ничего не отброшено.
dropped-reason = Причина
data-limits = Чего требуют от текста
limits-lead = Каждый текст измеряется. Тот, что далёк от обычного в своём языке, отбрасывается.
limits-of = Границы для { $language }
limit-low = Не меньше
limit-high = Не больше
limit-from = Откуда
limit-beyond = За границей
origin-stated = рецепт
origin-published = исследования
origin-learned = выведено здесь
origin-moved = выведено и смягчено
data-lengths = Какой длины документы
length-between = от { $low } до { $high }
data-formats = Форматы
format = Формат
data-private = Заменённые личные данные
kind = Вид
places = Мест
private-email = Адреса электронной почты
private-phone = Номера телефонов
private-card = Платёжные карты
private-iban = Банковские счета
private-ip = Сетевые адреса
private-coordinates = Координаты
private-id = Номера документов
private-money = Денежные счета и коды
private-name = Имена
twin-of = Вместо него оставлено: { $name }

### A document

document-size = Размер
document-source = Источник
document-done = Что с ним сделано
document-passage = Перейти к отрывку
step-extract = Текст взят из { $format } ({ $size })
step-decode = Прочитано в кодировке { $encoding }
step-mend = Исправлено: символов { $characters }, слов { $words }
step-normalise = Приведено в порядок: было { $before }, стало { $after }
step-cut = Часть { $piece } из { $pieces } длинного текста
step-identify = Найден язык: { $language } (уверенность { $percent })
step-lines = Убрано строк меню и подобного: { $lines }
step-paragraphs = Пропущено на других языках: { $size }
step-redact = Заменено мест с личными данными: { $places }
step-repeated = Убрано абзацев, которые есть в других документах: { $paragraphs }
role-user = Человек
role-assistant = Модель
role-system = Указание

### Training

training-building = Сейчас идёт построение.
training-idle = Сейчас ничего не строится.
training-stages = Шаги построения
stage = Шаг
stage-corpus = Прочитать и отобрать документы
stage-tokenizer = Составить словарь
stage-extend = Дополнить словарь
stage-tokenize-base = Измерить прежний словарь
stage-tokenize = Перевести текст в токены
stage-train = Обучить
stage-merge = Соединить выученное
stage-evaluate = Измерить модель
stage-done = Готово
stage-next = Ещё нет
stage-at = { $step } из { $steps }, осталось около { $left }
training-curve = Как модель учится
curve-meaning = Чем ниже линия, тем лучше модель предсказывает продолжение текста.
curve-training = Текст, на котором она учится
curve-held-out = Текст, которого она не видела
curve-tokens = прочитано токенов: { $count }
curve-none = Кривая появится, когда начнётся обучение.
curve-figures = То же в цифрах
training-look-again = Обновить
training-cost = Прогноз и действительность
cost-forecast = Прогноз
cost-truth = Действительность
cost-time = Время
cost-memory = Память
cost-disk = Диск
cost-speed = Скорость
per-second = токенов в секунду: { $count }
training-samples = Что она написала сама
samples-meaning = Слова жирным шрифтом были даны; модель продолжила.

### Try

try-chat = Беседа
try-ask = Спросить документы
try-classify = Классифицировать
chat-lead = Поговорите с { $model }.
chat-warning = Она может ошибаться. Проверяйте важное.
chat-message = Ваше сообщение
chat-send = Отправить
chat-stop = Остановить
chat-new = Новая беседа
chat-you = Вы
chat-model = Модель
chat-cut = Ответ обрезан на наибольшей длине.
chat-failed = Ответ прервался.
ask-lead = Ответ берётся из документов и говорит, из каких.
ask-question = Ваш вопрос
ask-send = Спросить
ask-sources = Отрывки
ask-none = В документах этого нет.
ask-quoted = Словами документов:
ask-unsupported = Модель сказала ещё и это, чего нет ни в одном отрывке:
classify-lead = Текст получает метку, которая подходит ему лучше всего.
classify-text = Ваш текст
classify-send = Классифицировать
classify-result = Метка
classify-unsure = Нет уверенности: ни одна метка не выделяется.
classify-likely = Вероятность
classify-because = Слова, которые за неё говорили

### Signing in

sign-in = Войти
sign-in-lead = Ключ доступа даёт тот, кто ведёт этот сервер.
sign-in-token = Ключ доступа
sign-in-wrong = Такой ключ здесь не известен. Проверьте, что он скопирован целиком, или попросите другой.

### When something is not possible

error-path = По этому адресу ничего нет
    .remedy = Возможно, ссылка устарела или в ней ошибка. Начните снова с обзора.
error-host = Этот сервер только для этого компьютера
    .remedy = Откройте его по адресу http://localhost с его портом.
error-role = Ваш ключ этого не разрешает
    .remedy = Попросите это право у того, кто ведёт сервер.
error-rate = Слишком много запросов за короткое время
    .remedy = Подождите минуту и попробуйте снова.
error-full = Ответов ждут многие другие
    .remedy = Попробуйте снова через минуту.
error-making = Документы подготавливаются
    .remedy = Попробуйте снова через минуту.
error-stopping = Сервер останавливается
    .remedy = Попробуйте снова через несколько минут.
error-forged = Эта форма устарела или пришла не с этой страницы
    .remedy = Откройте страницу заново и отправьте её ещё раз.
error-long = Это слишком длинно
    .remedy = Отправьте меньше текста или начните новую беседу.
error-slow = Ответ занял слишком много времени
    .remedy = Спросите что-нибудь покороче или попробуйте позже.
error-form = Форма заполнена не так, как нужно
    .remedy = Вернитесь и заполните её снова.
error-document = Этого документа нет в корпусе
    .remedy = Возможно, его отозвали или корпус построен заново.
error-method = Этот адрес так не используется
    .remedy = Начните снова с обзора.
error-internal = На сервере что-то пошло не так
    .remedy = Попробуйте снова. Если это повторится, сообщите тому, кто ведёт сервер.

### Why something was left out

reason-empty = Файл пуст
reason-too-large = Файл слишком велик
reason-unreadable = Файл не удалось открыть
reason-special-file = Не документ, а устройство или канал
reason-link-loop = Ссылка на уже прочитанную папку
reason-withdrawn = Кто-то его отозвал
reason-picture = Картинка
reason-unknown-format = Формат, который нельзя прочитать
reason-damaged = Файл повреждён
reason-encrypted = Закрыт паролем
reason-no-text = PDF из картинок, без текста
reason-unreadable-font = PDF, буквы которого не распознать
reason-time-limit = Чтение заняло слишком много времени
reason-not-text = Не связный текст
reason-bad-line = Строка без текста и без беседы
reason-bad-member = Закрытая или опасная часть архива
reason-archive-limit = В архиве слишком много всего
reason-no-column = Таблица без столбца с текстом
reason-no-document = Перенаправление, страница ошибки и подобное
reason-too-short = Текст слишком короткий
reason-other-language = На языке, который не нужен
reason-contaminated = Содержит отрывок проверочного текста
reason-exact-duplicate = Тот же текст, что и в другом документе
reason-near-duplicate = Почти тот же текст, что и в другом документе
reason-repeated-paragraphs = Только абзацы из других документов
reason-boilerplate = В основном строки, общие для многих страниц источника
reason-few-words = Слишком мало слов
reason-few-sentences = Слишком мало предложений
reason-mean-word-length = Слова необычно короткие или длинные
reason-letters = Цифр и знаков больше, чем букв
reason-alphabetic-words = Слишком много слов без букв
reason-symbol-ratio = Слишком много # или …
reason-bullet-lines = Почти все строки — пункты списка
reason-ellipsis-lines = Много строк, обрезанных знаком …
reason-curly-brackets = Фигурные скобки, как в программе
reason-lorem-ipsum = Текст-заполнитель (lorem ipsum)
reason-unended-lines = Почти ни одна строка не кончается как предложение
reason-short-lines = Большинство строк очень короткие
reason-line-breaks = Слишком много строк для такого числа слов
reason-duplicate-lines = Много повторённых строк
reason-duplicate-line-characters = Большая часть текста — повторённые строки
reason-duplicate-paragraphs = Много повторённых абзацев
reason-duplicate-paragraph-characters = Большая часть текста — повторённые абзацы
reason-top-ngram = Несколько слов снова и снова
reason-duplicate-ngrams = Большая часть текста — повторённые обороты
reason-stop-words = Почти нет обычных слов языка
reason-word-order = Порядок слов, чужой для языка
reason-gibberish = Порядок букв, чужой для языка
reason-word-list = Слишком много слов из ваших списков
