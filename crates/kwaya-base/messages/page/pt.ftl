# As páginas de `kwaya serve`, em português.

### On every page

skip = Ir para o conteúdo
rooms = Salas
room-overview = Visão geral
room-data = Dados
room-training = Treino
room-try = Experimentar
language = Língua
signed-in = Sessão de { $name }
sign-out = Terminar sessão
stays-here = O que escreve aqui fica nesta máquina.
made-with = Feito com Kwaya { $version }
next-page = Página seguinte
previous-page = Página anterior
page-number = Página { $page }
nothing-here = Não há nada aqui.
show = Mostrar
all = Tudo

### Figures

documents = { $count ->
        [one] { $count } documento
       *[other] { $count } documentos
    }
files = { $count ->
        [one] { $count } ficheiro
       *[other] { $count } ficheiros
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
        [1] janeiro
        [2] fevereiro
        [3] março
        [4] abril
        [5] maio
        [6] junho
        [7] julho
        [8] agosto
        [9] setembro
        [10] outubro
        [11] novembro
       *[12] dezembro
    }
day = { $day } de { $month } de { $year }
moment = { $day }, { $time } UTC

### Overview

overview-lead = Um modelo de linguagem nesta máquina. Nada do que lhe pergunta sai daqui.
overview-built = Construído aqui em { $day } a partir de { $documents }.
overview-try = Experimentar
overview-model = O modelo
model-weights = Pesos
model-context = Lê de uma vez
model-vocabulary = Vocabulário
model-layers = Camadas
model-family = Família
overview-from = De que foi feito
from-documents = Documentos
from-text = Texto
from-languages = Línguas
from-licences = Licenças
from-uses = Destinado a
from-hash = Impressão digital dos documentos
use-any = qualquer uso
use-research = investigação
use-education = educação
use-health-care = cuidados de saúde
use-public-service = serviço público
use-commercial = uso comercial
overview-quality = Quão bem conhece as línguas
quality-meaning = Bits por cada byte de texto que nunca tinha visto: quanto menos, melhor conhece a língua. Ao lado, um programa que só comprime, e o modelo antes do treino.
quality-language = Língua
quality-trained = Este modelo
quality-compressor = Compressor
quality-before = Antes
overview-now = Neste momento
now-writing = Respostas em curso
now-waiting = À espera
now-written = Escrito desde o início
now-read = Lido desde o início
now-since = A funcionar desde
model-changed = Os ficheiros do modelo mudaram desde que foi carregado. As respostas são do modelo de então. Reinicie o servidor para usar os ficheiros novos.
overview-machine = Esta máquina
machine-processor = Processador
machine-threads = Fios de execução
machine-instructions = Instruções
machine-memory = Memória
machine-disk = Disco
free-of = { $free } livres de { $all }
free = { $free } livres
overview-programs = Para outros programas
programs-meaning = Qualquer programa que fale a API da OpenAI pode usar este modelo. Precisa deste endereço:
link-api = Descrição da API
link-model-card = Ficha do modelo
link-data-card = Ficha dos dados
link-report = Relatório da construção

### Data

data-lead = { $documents } com { $size } de texto, tirados de { $files }.
data-browse = Ver os documentos
data-left-out = Deixados de fora
data-languages = Línguas
data-language = Língua
data-documents = Documentos
data-text = Texto
data-share = Parte
data-held-out = Guardados para medir
data-sources = As fontes e as suas licenças
source-licence = Licença
source-by = Permitido por
source-on = Desde
source-until = Até
source-no-end = sem fim
source-for = Para
data-dropped = O que ficou de fora, e porquê
data-dropped-lead = { $documents } ficaram de fora. Cada motivo leva ao que deixou de fora.
data-dropped-none = Nada ficou de fora.
dropped-reason = Motivo
data-limits = O que se pede a um texto
limits-lead = Cada texto é medido. O que se afasta muito do habitual na sua língua fica de fora.
limits-of = Limites para { $language }
limit-low = Pelo menos
limit-high = No máximo
limit-from = De onde vem
limit-beyond = Textos além
origin-stated = a receita
origin-published = a investigação
origin-learned = aprendido aqui
origin-moved = aprendido, depois suavizado
data-lengths = Tamanho dos documentos
length-between = de { $low } a { $high }
data-formats = Formatos
format = Formato
data-private = Dados pessoais substituídos
kind = Tipo
places = Lugares
private-email = Endereços de correio eletrónico
private-phone = Números de telefone
private-card = Cartões de pagamento
private-iban = Contas bancárias
private-ip = Endereços de rede
private-coordinates = Coordenadas
private-id = Números de identidade
private-money = Contas e códigos de dinheiro
private-name = Nomes
twin-of = Guardado em seu lugar: { $name }

### A document

document-size = Tamanho
document-source = Fonte
document-done = O que lhe foi feito
document-passage = Ir para a passagem
step-extract = Texto tirado de { $format } ({ $size })
step-decode = Lido na codificação { $encoding }
step-mend = Reparado: { $characters } caracteres, { $words } palavras
step-normalise = Posto em ordem: { $before } antes, { $after } depois
step-cut = Pedaço { $piece } de { $pieces } de um texto longo
step-identify = Língua encontrada: { $language } (certeza de { $percent })
step-lines = { $lines } linhas de menus e afins retiradas
step-paragraphs = { $size } noutras línguas deixados de fora
step-redact = { $places } lugares com dados pessoais substituídos
step-repeated = { $paragraphs } parágrafos que outros documentos têm deixados de fora
role-user = Pessoa
role-assistant = Modelo
role-system = Instrução

### Training

training-building = Há uma construção em curso.
training-idle = Não há construção em curso.
training-stages = Passos da construção
stage = Passo
stage-corpus = Ler e escolher documentos
stage-tokenizer = Fazer o vocabulário
stage-extend = Juntar palavras ao vocabulário
stage-tokenize-base = Medir o vocabulário antigo
stage-tokenize = Tornar o texto em tokens
stage-train = Treinar
stage-merge = Juntar o que foi aprendido
stage-evaluate = Medir o modelo
stage-done = Feito
stage-next = Ainda não
stage-at = { $step } de { $steps }, faltam cerca de { $left }
training-curve = Como o modelo aprende
curve-meaning = Quanto mais baixa a linha, melhor o modelo prevê o que vem a seguir no texto.
curve-training = Texto com que treina
curve-held-out = Texto que nunca viu
curve-tokens = { $count } tokens lidos
curve-none = A curva aparece quando um treino começa.
curve-figures = O mesmo em números
training-look-again = Ver de novo
training-cost = Previsão e realidade
cost-forecast = Previsão
cost-truth = Realidade
cost-time = Tempo
cost-memory = Memória
cost-disk = Disco
cost-speed = Velocidade
per-second = { $count } tokens por segundo
training-samples = O que escreveu sozinho
samples-meaning = As palavras a negrito foram dadas; o modelo continuou a partir daí.

### Try

try-chat = Conversar
try-ask = Perguntar aos documentos
try-classify = Classificar
chat-lead = Converse com { $model }.
chat-warning = Pode enganar-se. Confirme o que importa.
chat-message = A sua mensagem
chat-send = Enviar
chat-stop = Parar
chat-new = Nova conversa
chat-you = Você
chat-model = Modelo
chat-cut = A resposta foi cortada no tamanho máximo.
chat-failed = A resposta foi interrompida.
ask-lead = A resposta vem dos documentos, e diz de quais.
ask-question = A sua pergunta
ask-send = Perguntar
ask-sources = Passagens
ask-none = Os documentos não o dizem.
ask-quoted = Nas palavras dos documentos:
ask-unsupported = O modelo disse também isto, que nenhuma passagem apoia:
classify-lead = O texto recebe a etiqueta que melhor lhe serve.
classify-text = O seu texto
classify-send = Classificar
classify-result = Etiqueta
classify-unsure = Sem certeza: nenhuma etiqueta se destaca.
classify-likely = Probabilidade
classify-because = Palavras que falaram por ela

### Signing in

sign-in = Iniciar sessão
sign-in-lead = Quem gere este servidor dá-lhe uma chave de acesso.
sign-in-token = Chave de acesso
sign-in-wrong = Essa chave não é conhecida aqui. Veja se foi copiada inteira, ou peça outra.

### When something is not possible

error-path = Não há nada neste endereço
    .remedy = A ligação pode ser antiga, ou uma letra estar errada. Recomece pela visão geral.
error-host = Este servidor é só para este computador
    .remedy = Abra-o em http://localhost com a sua porta.
error-role = A sua chave não permite isto
    .remedy = Peça essa permissão a quem gere o servidor.
error-rate = Demasiados pedidos em pouco tempo
    .remedy = Espere um minuto e tente de novo.
error-full = Muitos outros esperam por respostas
    .remedy = Tente de novo daqui a um minuto.
error-making = Os documentos estão a ser preparados
    .remedy = Tente de novo daqui a um minuto.
error-stopping = O servidor está prestes a parar
    .remedy = Tente de novo daqui a alguns minutos.
error-forged = Este formulário é demasiado antigo, ou não veio desta página
    .remedy = Abra a página de novo e envie-o outra vez.
error-long = É demasiado longo
    .remedy = Envie menos texto, ou comece uma nova conversa.
error-slow = A resposta demorou demasiado
    .remedy = Peça algo mais curto, ou tente mais tarde.
error-form = O formulário não foi preenchido como deve ser
    .remedy = Volte atrás e preencha-o de novo.
error-document = Este documento não está no corpus
    .remedy = Pode ter sido retirado, ou o corpus ter sido refeito.
error-method = Este endereço não se usa assim
    .remedy = Recomece pela visão geral.
error-internal = Algo correu mal no servidor
    .remedy = Tente de novo. Se continuar, diga a quem gere o servidor.

### Why something was left out

reason-empty = O ficheiro está vazio
reason-too-large = O ficheiro é demasiado grande
reason-unreadable = O ficheiro não pôde ser aberto
reason-special-file = Não é um documento, mas um dispositivo ou um canal
reason-link-loop = Uma ligação a uma pasta já lida
reason-withdrawn = Alguém o retirou
reason-picture = Uma imagem
reason-unknown-format = Um formato que não se consegue ler
reason-damaged = O ficheiro está danificado
reason-encrypted = Está fechado com uma palavra-passe
reason-no-text = Um PDF de imagens, sem texto
reason-unreadable-font = Um PDF cujas letras não se conseguem ler
reason-time-limit = A leitura demorou demasiado
reason-not-text = Não é texto corrido
reason-bad-line = Uma linha sem texto nem conversa
reason-bad-member = Uma parte fechada ou insegura de um arquivo
reason-archive-limit = Um arquivo com demasiado dentro
reason-no-column = Uma tabela sem coluna de texto
reason-no-document = Um redirecionamento, uma página de erro ou afim
reason-too-short = O texto é demasiado curto
reason-other-language = Numa língua que não se quer
reason-contaminated = Tem uma passagem de um texto de prova
reason-exact-duplicate = O mesmo texto que outro documento
reason-near-duplicate = Quase o mesmo texto que outro documento
reason-repeated-paragraphs = Só parágrafos que outros documentos têm
reason-boilerplate = Sobretudo linhas que muitas páginas da sua fonte têm
reason-few-words = Poucas palavras
reason-few-sentences = Poucas frases
reason-mean-word-length = Palavras demasiado curtas ou longas
reason-letters = Mais algarismos e sinais do que letras
reason-alphabetic-words = Demasiadas palavras sem letras
reason-symbol-ratio = Demasiados # ou …
reason-bullet-lines = Quase todas as linhas são pontos de lista
reason-ellipsis-lines = Muitas linhas cortadas com …
reason-curly-brackets = Chavetas, como num programa
reason-lorem-ipsum = Texto de enchimento (lorem ipsum)
reason-unended-lines = Quase nenhuma linha acaba como uma frase
reason-short-lines = A maioria das linhas é muito curta
reason-line-breaks = Demasiadas linhas para as suas palavras
reason-duplicate-lines = Muitas linhas repetidas
reason-duplicate-line-characters = Grande parte em linhas repetidas
reason-duplicate-paragraphs = Muitos parágrafos repetidos
reason-duplicate-paragraph-characters = Grande parte em parágrafos repetidos
reason-top-ngram = Umas poucas palavras vezes sem conta
reason-duplicate-ngrams = Grande parte em expressões repetidas
reason-stop-words = Quase nenhuma palavra comum da língua
reason-word-order = Palavras numa ordem estranha à língua
reason-gibberish = Letras numa ordem estranha à língua
reason-word-list = Demasiadas palavras das suas listas
