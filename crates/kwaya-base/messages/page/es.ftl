# Las páginas de `kwaya serve`, en español.

### On every page

skip = Ir al contenido
rooms = Salas
room-overview = Resumen
room-data = Datos
room-training = Entrenamiento
room-try = Probar
language = Idioma
signed-in = Sesión de { $name }
sign-out = Cerrar sesión
stays-here = Lo que escribe aquí se queda en esta máquina.
made-with = Hecho con Kwaya { $version }
next-page = Página siguiente
previous-page = Página anterior
page-number = Página { $page }
nothing-here = Aquí no hay nada.
show = Mostrar
all = Todo

### Figures

documents = { $count ->
        [one] { $count } documento
       *[other] { $count } documentos
    }
files = { $count ->
        [one] { $count } archivo
       *[other] { $count } archivos
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
        [1] enero
        [2] febrero
        [3] marzo
        [4] abril
        [5] mayo
        [6] junio
        [7] julio
        [8] agosto
        [9] septiembre
        [10] octubre
        [11] noviembre
       *[12] diciembre
    }
day = { $day } de { $month } de { $year }
moment = { $day }, { $time } UTC

### Overview

overview-lead = Un modelo de lenguaje en esta máquina. Nada de lo que le pregunta sale de aquí.
overview-built = Construido aquí el { $day } a partir de { $documents }.
overview-try = Probarlo
overview-model = El modelo
model-weights = Pesos
model-context = Lee a la vez
model-vocabulary = Vocabulario
model-layers = Capas
model-family = Familia
overview-from = De qué se hizo
from-documents = Documentos
from-text = Texto
from-languages = Idiomas
from-licences = Licencias
from-uses = Destinado a
from-hash = Huella de los documentos
use-any = cualquier uso
use-research = investigación
use-education = educación
use-health-care = atención de salud
use-public-service = servicio público
use-commercial = uso comercial
overview-quality = Cuánto conoce los idiomas
quality-meaning = Bits por cada byte de un texto que nunca había visto: cuantos menos, mejor conoce el idioma. Al lado, un programa que solo comprime, y el modelo antes de entrenarse.
quality-language = Idioma
quality-trained = Este modelo
quality-compressor = Compresor
quality-before = Antes
overview-now = Ahora mismo
now-writing = Respuestas en curso
now-waiting = En espera
now-written = Escrito desde el inicio
now-read = Leído desde el inicio
now-since = En marcha desde el
model-changed = Los archivos del modelo han cambiado desde que se cargó. Las respuestas son del modelo de entonces. Reinicie el servidor para usar los archivos nuevos.
overview-machine = Esta máquina
machine-processor = Procesador
machine-threads = Hilos en uso
machine-instructions = Instrucciones
machine-memory = Memoria
machine-disk = Disco
free-of = { $free } libres de { $all }
free = { $free } libres
overview-programs = Para otros programas
programs-meaning = Todo programa que hable la API de OpenAI puede usar este modelo. Necesita esta dirección:
link-api = Descripción de la API
link-model-card = Ficha del modelo
link-data-card = Ficha de los datos
link-report = Informe de la construcción

### Data

data-lead = { $documents } con { $size } de texto, tomados de { $files }.
data-browse = Ver los documentos
data-left-out = Descartados
data-languages = Idiomas
data-language = Idioma
data-documents = Documentos
data-text = Texto
data-share = Parte
data-held-out = Guardados para medir
data-sources = Las fuentes y sus licencias
source-licence = Licencia
source-by = Permitido por
source-on = Desde el
source-until = Hasta el
source-no-end = sin fin
source-for = Para
data-dropped = Qué se descartó, y por qué
data-dropped-lead = { $documents } descartados. Cada motivo lleva a lo que descartó.
data-dropped-none = No se descartó nada.
dropped-reason = Motivo
data-limits = Qué se pide a un texto
limits-lead = Se mide cada texto. El que queda muy lejos de lo usual en su idioma se descarta.
limits-of = Límites para { $language }
limit-low = Al menos
limit-high = Como mucho
limit-from = De dónde viene
limit-beyond = Textos fuera
origin-stated = la receta
origin-published = la investigación
origin-learned = aprendido aquí
origin-moved = aprendido y suavizado
data-lengths = Cuán largos son los documentos
length-between = de { $low } a { $high }
data-formats = Formatos
format = Formato
data-private = Datos personales reemplazados
kind = Tipo
places = Lugares
private-email = Correos electrónicos
private-phone = Números de teléfono
private-card = Tarjetas de pago
private-iban = Cuentas bancarias
private-ip = Direcciones de red
private-coordinates = Coordenadas
private-id = Números de identidad
private-money = Cuentas y códigos de dinero
private-name = Nombres
twin-of = En su lugar quedó: { $name }

### A document

document-size = Tamaño
document-source = Fuente
document-done = Qué se hizo con él
document-passage = Ir al pasaje
step-extract = Texto tomado de { $format } ({ $size })
step-decode = Leído en la codificación { $encoding }
step-mend = Reparado: { $characters } caracteres, { $words } palabras
step-normalise = Puesto en orden: { $before } antes, { $after } después
step-cut = Trozo { $piece } de { $pieces } de un texto largo
step-identify = Idioma hallado: { $language } (seguro al { $percent })
step-lines = { $lines } líneas de menús y similares quitadas
step-paragraphs = { $size } en otros idiomas dejados fuera
step-redact = { $places } lugares con datos personales reemplazados
step-repeated = { $paragraphs } párrafos que tienen otros documentos dejados fuera
role-user = Persona
role-assistant = Modelo
role-system = Instrucción

### Training

training-building = Hay una construcción en marcha.
training-idle = No hay ninguna construcción en marcha.
training-stages = Pasos de la construcción
stage = Paso
stage-corpus = Leer y elegir documentos
stage-tokenizer = Hacer el vocabulario
stage-extend = Añadir palabras al vocabulario
stage-tokenize-base = Medir el vocabulario anterior
stage-tokenize = Convertir el texto en tokens
stage-train = Entrenar
stage-merge = Unir lo aprendido
stage-evaluate = Medir el modelo
stage-done = Hecho
stage-next = Aún no
stage-at = { $step } de { $steps }, quedan unos { $left }
training-curve = Cómo aprende el modelo
curve-meaning = Cuanto más baja la línea, mejor predice el modelo lo que sigue en el texto.
curve-training = Texto con que se entrena
curve-held-out = Texto que nunca ha visto
curve-tokens = { $count } tokens leídos
curve-none = La curva aparece cuando empieza un entrenamiento.
curve-figures = Lo mismo en cifras
training-look-again = Mirar de nuevo
training-cost = Pronóstico y realidad
cost-forecast = Pronóstico
cost-truth = Realidad
cost-time = Tiempo
cost-memory = Memoria
cost-disk = Disco
cost-speed = Velocidad
per-second = { $count } tokens por segundo
training-samples = Lo que escribió por sí solo
samples-meaning = Las palabras en negrita se le dieron; el modelo siguió desde ahí.

### Try

try-chat = Conversar
try-ask = Preguntar a los documentos
try-classify = Clasificar
chat-lead = Converse con { $model }.
chat-warning = Puede equivocarse. Compruebe lo que importa.
chat-message = Su mensaje
chat-send = Enviar
chat-stop = Parar
chat-new = Conversación nueva
chat-you = Usted
chat-model = Modelo
chat-cut = La respuesta se cortó en su longitud máxima.
chat-failed = La respuesta se interrumpió.
ask-lead = La respuesta viene de los documentos, y dice de cuáles.
ask-question = Su pregunta
ask-send = Preguntar
ask-sources = Pasajes
ask-none = Los documentos no lo dicen.
ask-quoted = Con las palabras de los documentos:
ask-unsupported = El modelo dijo también esto, que ningún pasaje respalda:
classify-lead = El texto recibe la etiqueta que mejor le va.
classify-text = Su texto
classify-send = Clasificar
classify-result = Etiqueta
classify-unsure = No es seguro: ninguna etiqueta destaca.
classify-likely = Probabilidad
classify-because = Palabras que hablaron por ella

### Signing in

sign-in = Iniciar sesión
sign-in-lead = Quien lleva este servidor le da una clave de acceso.
sign-in-token = Clave de acceso
sign-in-wrong = Esa clave no se conoce aquí. Compruebe que la copió entera, o pida otra.

### When something is not possible

error-path = No hay nada en esta dirección
    .remedy = El enlace puede ser viejo, o una letra estar mal. Empiece de nuevo por el resumen.
error-host = Este servidor es solo para este ordenador
    .remedy = Ábralo en http://localhost con su puerto.
error-role = Su clave no permite esto
    .remedy = Pida ese permiso a quien lleva el servidor.
error-rate = Demasiadas peticiones en poco tiempo
    .remedy = Espere un minuto y pruebe otra vez.
error-full = Muchos otros esperan respuesta
    .remedy = Pruebe otra vez dentro de un minuto.
error-making = Los documentos se están preparando
    .remedy = Pruebe otra vez dentro de un minuto.
error-stopping = El servidor está por parar
    .remedy = Pruebe otra vez dentro de unos minutos.
error-forged = Este formulario es demasiado viejo, o no vino de esta página
    .remedy = Abra la página de nuevo y envíelo otra vez.
error-long = Es demasiado largo
    .remedy = Envíe menos texto, o empiece una conversación nueva.
error-slow = La respuesta tardó demasiado
    .remedy = Pida algo más corto, o pruebe más tarde.
error-form = El formulario no se rellenó como debe ser
    .remedy = Vuelva atrás y rellénelo otra vez.
error-document = Este documento no está en el corpus
    .remedy = Puede que se haya retirado, o que el corpus se haya hecho de nuevo.
error-method = Esta dirección no se usa así
    .remedy = Empiece de nuevo por el resumen.
error-internal = Algo salió mal en el servidor
    .remedy = Pruebe otra vez. Si sigue, dígaselo a quien lleva el servidor.

### Why something was left out

reason-empty = El archivo está vacío
reason-too-large = El archivo es demasiado grande
reason-unreadable = El archivo no se pudo abrir
reason-special-file = No es un documento, sino un dispositivo o una tubería
reason-link-loop = Un enlace a una carpeta ya leída
reason-withdrawn = Alguien lo retiró
reason-picture = Una imagen
reason-unknown-format = Un formato que no se puede leer
reason-damaged = El archivo está dañado
reason-encrypted = Está cerrado con una contraseña
reason-no-text = Un PDF de imágenes, sin texto
reason-unreadable-font = Un PDF cuyas letras no se pueden leer
reason-time-limit = Leerlo tardó demasiado
reason-not-text = No es texto corrido
reason-bad-line = Una línea sin texto ni conversación
reason-bad-member = Una parte cerrada o insegura de un archivo comprimido
reason-archive-limit = Un archivo comprimido con demasiado dentro
reason-no-column = Una tabla sin columna de texto
reason-no-document = Una redirección, una página de error o similar
reason-too-short = El texto es demasiado corto
reason-other-language = En un idioma que no se quiere
reason-contaminated = Tiene un pasaje de un texto de prueba
reason-exact-duplicate = El mismo texto que otro documento
reason-near-duplicate = Casi el mismo texto que otro documento
reason-repeated-paragraphs = Solo párrafos que tienen otros documentos
reason-boilerplate = Sobre todo líneas que tienen muchas páginas de su fuente
reason-few-words = Muy pocas palabras
reason-few-sentences = Muy pocas oraciones
reason-mean-word-length = Palabras demasiado cortas o largas
reason-letters = Más cifras y signos que letras
reason-alphabetic-words = Demasiadas palabras sin letras
reason-symbol-ratio = Demasiados # o …
reason-bullet-lines = Casi todas las líneas son puntos de lista
reason-ellipsis-lines = Muchas líneas cortadas con …
reason-curly-brackets = Llaves, como en un programa
reason-lorem-ipsum = Texto de relleno (lorem ipsum)
reason-unended-lines = Casi ninguna línea termina como una oración
reason-short-lines = La mayoría de las líneas son muy cortas
reason-line-breaks = Demasiadas líneas para sus palabras
reason-duplicate-lines = Muchas líneas repetidas
reason-duplicate-line-characters = Gran parte en líneas repetidas
reason-duplicate-paragraphs = Muchos párrafos repetidos
reason-duplicate-paragraph-characters = Gran parte en párrafos repetidos
reason-top-ngram = Unas pocas palabras una y otra vez
reason-duplicate-ngrams = Gran parte en frases repetidas
reason-stop-words = Casi ninguna palabra común del idioma
reason-word-order = Palabras en un orden ajeno al idioma
reason-gibberish = Letras en un orden ajeno al idioma
reason-word-list = Demasiadas palabras de sus listas
