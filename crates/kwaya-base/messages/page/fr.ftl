# Les pages de `kwaya serve`, en français.

### On every page

skip = Aller au contenu
rooms = Pièces
room-overview = Vue d’ensemble
room-data = Données
room-training = Entraînement
room-try = Essayer
language = Langue
signed-in = Connecté : { $name }
sign-out = Se déconnecter
stays-here = Ce que vous écrivez ici reste sur cette machine.
made-with = Fait avec Kwaya { $version }
next-page = Page suivante
previous-page = Page précédente
page-number = Page { $page }
nothing-here = Il n’y a rien ici.
show = Montrer
all = Tout

### Figures

documents = { $count ->
        [one] { $count } document
       *[other] { $count } documents
    }
files = { $count ->
        [one] { $count } fichier
       *[other] { $count } fichiers
    }
tokens = { $count ->
        [one] { $count } jeton
       *[other] { $count } jetons
    }
size-bytes = { $count ->
        [one] { $count } octet
       *[other] { $count } octets
    }
size-kb = { $count } ko
size-mb = { $count } Mo
size-gb = { $count } Go
seconds = { $count } s
minutes = { $minutes } min { $seconds } s
hours = { $hours } h { $minutes } min
percent = { $count } %
month = { $month ->
        [1] janvier
        [2] février
        [3] mars
        [4] avril
        [5] mai
        [6] juin
        [7] juillet
        [8] août
        [9] septembre
        [10] octobre
        [11] novembre
       *[12] décembre
    }
day = { $day } { $month } { $year }
moment = { $day } à { $time } UTC

### Overview

overview-lead = Un modèle de langue sur cette machine. Rien de ce que vous lui demandez ne sort d’ici.
overview-built = Construit ici le { $day } à partir de { $documents }.
overview-try = L’essayer
overview-model = Le modèle
model-weights = Poids
model-context = Lit à la fois
model-vocabulary = Vocabulaire
model-layers = Couches
model-family = Famille
overview-from = De quoi il est fait
from-documents = Documents
from-text = Texte
from-languages = Langues
from-licences = Licences
from-uses = Destiné à
from-hash = Empreinte des documents
use-any = tout usage
use-research = la recherche
use-education = l’enseignement
use-health-care = les soins de santé
use-public-service = le service public
use-commercial = un usage commercial
overview-quality = Comment il connaît les langues
quality-meaning = Bits pour chaque octet de texte qu’il n’avait jamais vu : moins il y en a, mieux il connaît la langue. À côté, un programme qui ne fait que comprimer, et le modèle avant son entraînement.
quality-language = Langue
quality-trained = Ce modèle
quality-compressor = Compresseur
quality-before = Avant
overview-now = En ce moment
now-writing = Réponses en cours
now-waiting = En attente
now-written = Écrit depuis le démarrage
now-read = Lu depuis le démarrage
now-since = En marche depuis le
model-changed = Les fichiers du modèle ont changé depuis son chargement. Les réponses sont celles du modèle d’alors. Redémarrez le serveur pour utiliser les nouveaux fichiers.
overview-machine = Cette machine
machine-processor = Processeur
machine-threads = Fils d’exécution
machine-instructions = Instructions
machine-memory = Mémoire
machine-disk = Disque
free-of = { $free } libres sur { $all }
free = { $free } libres
overview-programs = Pour d’autres programmes
programs-meaning = Tout programme qui parle l’API d’OpenAI peut utiliser ce modèle. Il lui faut cette adresse :
link-api = Description de l’API
link-model-card = Fiche du modèle
link-data-card = Fiche des données
link-report = Rapport de la construction

### Data

data-lead = { $documents }, soit { $size } de texte, tirés de { $files }.
data-browse = Voir les documents
data-left-out = Écartés
data-languages = Langues
data-language = Langue
data-documents = Documents
data-text = Texte
data-share = Part
data-held-out = Gardés pour mesurer
data-sources = Les sources et leurs licences
source-licence = Licence
source-by = Permis par
source-on = Depuis le
source-until = Jusqu’au
source-no-end = sans fin
source-for = Pour
data-dropped = Ce qui a été écarté, et pourquoi
data-dropped-lead = { $documents } écartés. Chaque motif mène à ce qu’il a écarté.
data-dropped-none = Rien n’a été écarté.
dropped-reason = Motif
data-limits = Ce qui est demandé à un texte
limits-lead = Chaque texte est mesuré. Celui qui s’éloigne trop de l’usage de sa langue est écarté.
limits-of = Limites pour { $language }
limit-low = Au moins
limit-high = Au plus
limit-from = D’où vient-elle
limit-beyond = Textes au-delà
origin-stated = la recette
origin-published = la recherche
origin-learned = apprise ici
origin-moved = apprise, puis adoucie
data-lengths = Longueur des documents
length-between = de { $low } à { $high }
data-formats = Formats
format = Format
data-private = Données personnelles remplacées
kind = Genre
places = Endroits
private-email = Adresses électroniques
private-phone = Numéros de téléphone
private-card = Cartes de paiement
private-iban = Comptes bancaires
private-ip = Adresses de réseau
private-coordinates = Coordonnées
private-id = Numéros d’identité
private-money = Comptes et codes d’argent
private-name = Noms
twin-of = Gardé à sa place : { $name }

### A document

document-size = Taille
document-source = Source
document-done = Ce qui lui a été fait
document-passage = Aller au passage
step-extract = Texte tiré de { $format } ({ $size })
step-decode = Lu dans l’encodage { $encoding }
step-mend = Réparé : { $characters } caractères, { $words } mots
step-normalise = Mis en ordre : { $before } avant, { $after } après
step-cut = Morceau { $piece } sur { $pieces } d’un long texte
step-identify = Langue trouvée : { $language } (sûr à { $percent })
step-lines = { $lines } lignes de menus et autres retirées
step-paragraphs = { $size } en d’autres langues laissés de côté
step-redact = { $places } endroits avec des données personnelles remplacés
step-repeated = { $paragraphs } paragraphes présents dans d’autres documents laissés de côté
role-user = Personne
role-assistant = Modèle
role-system = Consigne

### Training

training-building = Une construction est en cours.
training-idle = Aucune construction n’est en cours.
training-stages = Étapes de la construction
stage = Étape
stage-corpus = Lire et choisir les documents
stage-tokenizer = Faire le vocabulaire
stage-extend = Ajouter des mots au vocabulaire
stage-tokenize-base = Mesurer l’ancien vocabulaire
stage-tokenize = Changer le texte en jetons
stage-train = Entraîner
stage-merge = Fondre ce qui a été appris
stage-evaluate = Mesurer le modèle
stage-done = Fait
stage-next = Pas encore
stage-at = { $step } sur { $steps }, reste environ { $left }
training-curve = Comment le modèle apprend
curve-meaning = Plus la ligne est basse, mieux le modèle prédit la suite du texte.
curve-training = Texte d’entraînement
curve-held-out = Texte jamais vu
curve-tokens = { $count } jetons lus
curve-none = La courbe paraît quand un entraînement commence.
curve-figures = La même chose en chiffres
training-look-again = Regarder de nouveau
training-cost = Prévision et réalité
cost-forecast = Prévision
cost-truth = Réalité
cost-time = Durée
cost-memory = Mémoire
cost-disk = Disque
cost-speed = Vitesse
per-second = { $count } jetons par seconde
training-samples = Ce qu’il a écrit tout seul
samples-meaning = Les mots en gras étaient donnés ; le modèle a continué.

### Try

try-chat = Parler
try-ask = Interroger les documents
try-classify = Classer
chat-lead = Parlez avec { $model }.
chat-warning = Il peut se tromper. Vérifiez ce qui compte.
chat-message = Votre message
chat-send = Envoyer
chat-stop = Arrêter
chat-new = Nouvelle discussion
chat-you = Vous
chat-model = Modèle
chat-cut = La réponse a été coupée à sa longueur maximale.
chat-failed = La réponse s’est interrompue.
ask-lead = La réponse vient des documents, et dit desquels.
ask-question = Votre question
ask-send = Demander
ask-sources = Passages
ask-none = Les documents ne le disent pas.
ask-quoted = Dans les mots des documents :
ask-unsupported = Le modèle a dit aussi ceci, qu’aucun passage n’appuie :
classify-lead = Le texte reçoit l’étiquette qui lui convient le mieux.
classify-text = Votre texte
classify-send = Classer
classify-result = Étiquette
classify-unsure = Pas sûr : aucune étiquette ne se détache.
classify-likely = Vraisemblance
classify-because = Mots qui ont compté

### Signing in

sign-in = Se connecter
sign-in-lead = La personne qui gère ce serveur vous donne un jeton d’accès.
sign-in-token = Jeton d’accès
sign-in-wrong = Ce jeton n’est pas connu ici. Vérifiez qu’il a été copié en entier, ou demandez-en un autre.

### When something is not possible

error-path = Il n’y a rien à cette adresse
    .remedy = Le lien est peut-être ancien, ou une lettre fausse. Repartez de la vue d’ensemble.
error-host = Ce serveur n’est que pour cet ordinateur
    .remedy = Ouvrez-le à http://localhost avec son port.
error-role = Votre jeton ne permet pas cela
    .remedy = Demandez ce droit à la personne qui gère le serveur.
error-rate = Trop de demandes en peu de temps
    .remedy = Attendez une minute, puis essayez encore.
error-full = Beaucoup d’autres attendent une réponse
    .remedy = Essayez encore dans une minute.
error-making = Les documents sont en préparation
    .remedy = Essayez encore dans une minute.
error-stopping = Le serveur va s’arrêter
    .remedy = Essayez encore dans quelques minutes.
error-forged = Ce formulaire est trop ancien, ou ne vient pas de cette page
    .remedy = Rouvrez la page et envoyez-le encore une fois.
error-long = C’est trop long
    .remedy = Envoyez moins de texte, ou commencez une nouvelle discussion.
error-slow = La réponse a pris trop de temps
    .remedy = Demandez quelque chose de plus court, ou essayez plus tard.
error-form = Le formulaire n’est pas rempli comme il faut
    .remedy = Revenez en arrière et remplissez-le de nouveau.
error-document = Ce document n’est pas dans le corpus
    .remedy = Il a peut-être été repris, ou le corpus a été refait.
error-method = Cette adresse ne s’utilise pas ainsi
    .remedy = Repartez de la vue d’ensemble.
error-internal = Quelque chose s’est mal passé dans le serveur
    .remedy = Essayez encore. Si cela continue, dites-le à la personne qui gère le serveur.

### Why something was left out

reason-empty = Le fichier est vide
reason-too-large = Le fichier est trop grand
reason-unreadable = Le fichier n’a pas pu être ouvert
reason-special-file = Pas un document, mais un appareil ou un tube
reason-link-loop = Un lien vers un dossier déjà lu
reason-withdrawn = Quelqu’un l’a repris
reason-picture = Une image
reason-unknown-format = Un format qui ne peut pas être lu
reason-damaged = Le fichier est abîmé
reason-encrypted = Fermé par un mot de passe
reason-no-text = Un PDF d’images, sans texte
reason-unreadable-font = Un PDF dont on ne peut pas lire les lettres
reason-time-limit = La lecture a pris trop de temps
reason-not-text = Pas un texte suivi
reason-bad-line = Une ligne sans texte ni discussion
reason-bad-member = Une partie fermée ou dangereuse d’une archive
reason-archive-limit = Une archive qui contient beaucoup trop
reason-no-column = Un tableau sans colonne de texte
reason-no-document = Une redirection, une page d’erreur ou autre
reason-too-short = Le texte est trop court
reason-other-language = Dans une langue qui n’est pas voulue
reason-contaminated = Contient un passage d’un texte d’épreuve
reason-exact-duplicate = Le même texte qu’un autre document
reason-near-duplicate = Presque le même texte qu’un autre document
reason-repeated-paragraphs = Rien que des paragraphes d’autres documents
reason-boilerplate = Surtout des lignes que beaucoup de pages de sa source ont
reason-few-words = Trop peu de mots
reason-few-sentences = Trop peu de phrases
reason-mean-word-length = Des mots trop courts ou trop longs
reason-letters = Plus de chiffres et de signes que de lettres
reason-alphabetic-words = Trop de mots sans lettre
reason-symbol-ratio = Trop de # ou de …
reason-bullet-lines = Presque rien que des points de liste
reason-ellipsis-lines = Beaucoup de lignes coupées par …
reason-curly-brackets = Des accolades, comme dans un programme
reason-lorem-ipsum = Texte de remplissage (lorem ipsum)
reason-unended-lines = Presque aucune ligne ne finit comme une phrase
reason-short-lines = La plupart des lignes sont très courtes
reason-line-breaks = Trop de lignes pour ses mots
reason-duplicate-lines = Beaucoup de lignes répétées
reason-duplicate-line-characters = Une grande part en lignes répétées
reason-duplicate-paragraphs = Beaucoup de paragraphes répétés
reason-duplicate-paragraph-characters = Une grande part en paragraphes répétés
reason-top-ngram = Quelques mots encore et encore
reason-duplicate-ngrams = Une grande part en phrases répétées
reason-stop-words = Presque aucun mot courant de la langue
reason-word-order = Des mots dans un ordre étranger à la langue
reason-gibberish = Des lettres dans un ordre étranger à la langue
reason-word-list = Trop de mots de vos listes
