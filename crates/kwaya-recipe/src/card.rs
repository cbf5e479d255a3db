//! The data card, beside the corpus: `README.md` as datasets on the Hugging
//! Face Hub have it, and `croissant.json` in the format Croissant 1.1. What
//! the ledger and the corpus know is filled in; what only a person knows is
//! taken from `[card]` in the recipe, and is asked for where it is missing.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use kwaya_base::{Error, Result, error::At, files, say};
use kwaya_text::corpus::{self, Stats};
use minijinja::{Value, context, value::Serde};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::{
    ledger::{Entry, Ledger},
    recipe::Recipe,
    report,
    rights::{self, Day, SourceRights, Until},
    words,
};

/// The card for people and for the Hub.
pub const README: &str = "README.md";

/// The card for machines.
pub const CROISSANT: &str = "croissant.json";

/// What only a person can say of a corpus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CardWishes {
    /// What is in it, in a few sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who gathered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curated_by: Option<String>,
    /// Who paid for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub funded_by: Option<String>,
    /// Whom to write to, also to have a text taken out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Where it is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// On which day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<Day>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why these documents and no others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
    /// How and when they were collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Who wrote or spoke them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authors: Option<String>,
    /// What in them could hurt people, and what was done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<String>,
    /// Whom and what they leave out or show wrongly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub biases: Option<String>,
    /// What they should not be used for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limitations: Option<String>,
    /// What good or harm may come of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<String>,
    /// How they are to be cited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
}

/// What Croissant calls the answers that it has a word for.
const CROISSANT_WORDS: [(&str, &str); 7] = [
    ("collection", "rai:dataCollection"),
    ("biases", "rai:dataBiases"),
    ("limitations", "rai:dataLimitations"),
    ("impact", "rai:dataSocialImpact"),
    ("sensitive", "rai:personalSensitiveInformation"),
    ("rationale", "rai:dataUseCases"),
    ("citation", "citeAs"),
];

impl CardWishes {
    /// Every question with its answer, where there is one.
    fn answers(&self) -> Vec<(&'static str, Option<String>)> {
        let Self { description, curated_by, funded_by, contact, url, published, version, .. } = self;
        let Self { rationale, collection, authors, sensitive, biases, limitations, impact, citation, .. } = self;
        let published = published.map(|day| day.to_string());
        let rows = [
            ("description", description),
            ("curated_by", curated_by),
            ("funded_by", funded_by),
            ("contact", contact),
            ("url", url),
            ("published", &published),
            ("version", version),
            ("rationale", rationale),
            ("collection", collection),
            ("authors", authors),
            ("sensitive", sensitive),
            ("biases", biases),
            ("limitations", limitations),
            ("impact", impact),
            ("citation", citation),
        ];
        rows.into_iter().map(|(key, answer)| (key, answer.clone().filter(|text| !text.trim().is_empty()))).collect()
    }
}

/// A question of the card.
#[derive(Clone, Debug, Serialize)]
pub struct Question {
    /// Where the answer is written: its key under `[card]`.
    pub key: &'static str,
    /// The question in words.
    pub question: String,
    /// The answer, where there is one.
    pub answer: Option<String>,
}

/// What was written.
#[derive(Debug, Serialize)]
pub struct Written {
    /// The card for people.
    pub readme: PathBuf,
    /// The card for machines.
    pub croissant: PathBuf,
    /// The questions that nobody has answered yet.
    pub open: Vec<Question>,
}

/// Licences that the Hub has a name for: that of SPDX in lower case, but for
/// those with two names.
const HUB_LICENCES: [(&str, &str); 33] = [
    ("apache-2.0", "apache-2.0"),
    ("mit", "mit"),
    ("cc0-1.0", "cc0-1.0"),
    ("cc-by-2.0", "cc-by-2.0"),
    ("cc-by-2.5", "cc-by-2.5"),
    ("cc-by-3.0", "cc-by-3.0"),
    ("cc-by-4.0", "cc-by-4.0"),
    ("cc-by-sa-3.0", "cc-by-sa-3.0"),
    ("cc-by-sa-4.0", "cc-by-sa-4.0"),
    ("cc-by-nc-2.0", "cc-by-nc-2.0"),
    ("cc-by-nc-3.0", "cc-by-nc-3.0"),
    ("cc-by-nc-4.0", "cc-by-nc-4.0"),
    ("cc-by-nd-4.0", "cc-by-nd-4.0"),
    ("cc-by-nc-nd-3.0", "cc-by-nc-nd-3.0"),
    ("cc-by-nc-nd-4.0", "cc-by-nc-nd-4.0"),
    ("cc-by-nc-sa-2.0", "cc-by-nc-sa-2.0"),
    ("cc-by-nc-sa-3.0", "cc-by-nc-sa-3.0"),
    ("cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0"),
    ("odbl-1.0", "odbl"),
    ("odc-by-1.0", "odc-by"),
    ("pddl-1.0", "pddl"),
    ("cdla-sharing-1.0", "cdla-sharing-1.0"),
    ("cdla-permissive-1.0", "cdla-permissive-1.0"),
    ("cdla-permissive-2.0", "cdla-permissive-2.0"),
    ("etalab-2.0", "etalab-2.0"),
    ("bsd-2-clause", "bsd-2-clause"),
    ("bsd-3-clause", "bsd-3-clause"),
    ("gpl-3.0-only", "gpl-3.0"),
    ("gpl-3.0-or-later", "gpl-3.0"),
    ("agpl-3.0-only", "agpl-3.0"),
    ("mpl-2.0", "mpl-2.0"),
    ("unlicense", "unlicense"),
    ("wtfpl", "wtfpl"),
];

/// The classes of size that the Hub knows.
const SIZES: [(u64, &str); 9] = [
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"),
    (100_000_000_000, "10B<n<100B"),
];

/// All that the cards are made of.
struct Facts<'a> {
    recipe: &'a Recipe,
    stats: Stats,
    sources: Vec<SourceRights>,
    /// The line of the ledger in which the corpus was made.
    entry: &'a Entry,
    /// Where the corpus is.
    folder: PathBuf,
}

/// Writes the cards of the newest corpus in `folder`, the folder of a recipe.
///
/// # Errors
/// `corpus-missing` before there is one, and what the disk brings.
pub fn write(folder: &Path) -> Result<Written> {
    let recipe = Recipe::read(folder)?;
    let ledger = Ledger::read(&folder.join("build/ledger.jsonl"))?;
    of_ledger(&recipe, ledger.entries(), folder)
}

/// The same of a ledger that is at hand.
pub(crate) fn of_ledger(recipe: &Recipe, entries: &[Entry], folder: &Path) -> Result<Written> {
    let entry = entries.iter().rev().find(|entry| entry.stage == "corpus");
    let entry = entry.ok_or_else(|| Error::new("corpus-missing").path(folder))?;
    let stats: Stats =
        serde_json::from_value(entry.figures.clone()).map_err(|e| Error::new("ledger-figures").arg("cause", e))?;
    let sources = rights::of_sources(recipe, &stats);
    let facts = Facts { recipe, stats, sources, entry, folder: folder.join("build/corpus") };
    let (readme, croissant) = (facts.folder.join(README), facts.folder.join(CROISSANT));
    let questions = facts.questions();
    files::write(&readme, facts.readme(&questions)?.as_bytes())?;
    let body = serde_json::to_string_pretty(&facts.croissant()?).expect("a card is plain data");
    files::write(&croissant, format!("{body}\n").as_bytes())?;
    let open = questions.into_iter().filter(|question| question.answer.is_none()).collect();
    Ok(Written { readme, croissant, open })
}

impl Facts<'_> {
    fn questions(&self) -> Vec<Question> {
        let answers = self.recipe.card.answers().into_iter();
        answers.map(|(key, answer)| Question { key, question: say!(&format!("card-ask-{key}")), answer }).collect()
    }

    /// The languages that are in it, as far as they are known.
    fn languages(&self) -> Vec<&str> {
        self.stats.languages.keys().map(String::as_str).filter(|language| *language != "und").collect()
    }

    /// Each licence once, in the order of the recipe.
    fn licences(&self) -> Vec<&str> {
        let mut licences: Vec<&str> = Vec::new();
        for source in &self.sources {
            if !licences.contains(&source.consent.licence.as_str()) {
                licences.push(&source.consent.licence);
            }
        }
        licences
    }

    fn until(&self) -> Until {
        self.sources.iter().map(|source| source.consent.allowed_until).min().unwrap_or(Until::NoEnd)
    }

    fn description(&self) -> String {
        let written = self.recipe.card.description.clone();
        written.unwrap_or_else(|| {
            say!("card-description", name = self.recipe.name, languages = self.languages().join(", "))
        })
    }

    fn readme(&self, questions: &[Question]) -> Result<String> {
        let uses = rights::common(&self.sources);
        let page = context! {
            front => Value::from_safe_string(self.front()),
            name => self.recipe.name.as_str(),
            description => self.description(),
            recipe => Value::from(Serde(self.recipe)),
            stats => Value::from(Serde(&self.stats)),
            sources => Value::from(Serde(&self.sources)),
            dropped => self.stats.dropped.values().sum::<u64>(),
            replaced => words::replaced(&self.stats.replaced),
            uses => rights::words(&uses),
            terms => Value::from(Serde(rights::duo(&uses, self.until()))),
            entry => Value::from(Serde(self.entry)),
            answered => Value::from(Serde(questions.iter().filter(|q| q.answer.is_some()).collect::<Vec<_>>())),
            open => Value::from(Serde(questions.iter().filter(|q| q.answer.is_none()).collect::<Vec<_>>())),
        };
        report::render("data.md", page)
    }

    /// The head that the Hub reads, in YAML; a string of JSON is one of YAML.
    fn front(&self) -> String {
        let text = |text: &str| Json::from(text).to_string();
        let list = |key: &str, items: &[String]| {
            let items: Vec<String> = items.iter().map(|item| format!("- {item}\n")).collect();
            if items.is_empty() { String::new() } else { format!("{key}:\n{}", items.concat()) }
        };
        let languages: Vec<String> = self.languages().into_iter().map(text).collect();
        let licences = self.licences();
        let named = |licence: &&str| {
            let lower = licence.to_ascii_lowercase();
            HUB_LICENCES.iter().find(|(spdx, _)| *spdx == lower).map(|(_, hub)| (*hub).to_owned())
        };
        let licence = match licences.iter().map(named).collect::<Option<Vec<_>>>() {
            Some(names) => list("license", &names),
            None => {
                let all: Vec<String> = licences.iter().map(|licence| format!("({licence})")).collect();
                format!("license: other\nlicense_name: {}\n", text(&all.join(" AND ")))
            }
        };
        let size = SIZES.iter().find(|(limit, _)| self.stats.documents < *limit).map_or("100B<n<1T", |(_, name)| name);
        let many = if languages.len() > 1 { "multilingual" } else { "monolingual" };
        [
            format!("pretty_name: {}\n", text(&self.recipe.name)),
            list("language", &languages),
            licence,
            list("multilinguality", &[many.to_owned()]),
            list("size_categories", &[size.to_owned()]),
            list("task_categories", &["text-generation".to_owned()]),
            list("task_ids", &["language-modeling".to_owned()]),
            list("annotations_creators", &["no-annotation".to_owned()]),
            list("source_datasets", &["original".to_owned()]),
            "configs:\n- config_name: default\n  data_files: documents.parquet\n".to_owned(),
        ]
        .concat()
    }

    /// The card in Croissant 1.1
    /// (<https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html>).
    fn croissant(&self) -> Result<Json> {
        let card = &self.recipe.card;
        let uses = rights::common(&self.sources);
        let terms: Vec<Json> = rights::duo(&uses, self.until())
            .iter()
            .map(|term| {
                let number = term.id.trim_start_matches("DUO:");
                json!({ "@type": "DefinedTerm", "name": term.label, "termCode": format!("DUO_{number}"),
                    "url": format!("duo:{number}") })
            })
            .collect();
        // What the ontology has no word for is said in ours.
        let conditions: Vec<String> = self
            .sources
            .iter()
            .map(|source| {
                let consent = &source.consent;
                say!(
                    "report-allowed-words",
                    by = consent.allowed_by,
                    on = consent.allowed_on,
                    uses = rights::words(&consent.allowed_for),
                    until = consent.allowed_until,
                )
            })
            .collect();
        let derived: Vec<Json> = self
            .sources
            .iter()
            .map(|source| {
                json!({ "@type": "prov:Entity", "@id": format!("#source-{}", source.origin), "prov:label": source.path,
                    "prov:wasAttributedTo": { "@type": "prov:Agent", "prov:label": source.consent.allowed_by } })
            })
            .collect();
        let mut dataset = json!({
            "@context": context_of(),
            "@type": "sc:Dataset",
            "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
            "name": self.recipe.name,
            "description": self.description(),
            "inLanguage": self.languages(),
            "license": self.licences().into_iter().map(licence_url).collect::<Vec<_>>(),
            "dateCreated": crate::words::day(self.entry.time),
            "usageInfo": terms,
            "conditionsOfAccess": conditions,
            "prov:wasDerivedFrom": derived,
            "prov:wasGeneratedBy": { "@type": "prov:Activity",
                "prov:label": format!("kwaya {}, ledger line {}", self.entry.version, self.entry.index),
                "prov:endedAtTime": crate::words::day(self.entry.time) },
            "distribution": [self.file("documents.parquet")?],
            "recordSet": [records()],
        });
        let maker = |name: &String| json!({ "@type": "sc:Organization", "name": name });
        for (key, value) in [
            ("url", card.url.as_ref().map(|url| json!(url))),
            ("datePublished", card.published.map(|day| json!(day))),
            ("version", card.version.as_ref().map(|version| json!(version))),
            ("creator", card.curated_by.as_ref().map(maker)),
            ("publisher", card.curated_by.as_ref().map(maker)),
        ] {
            dataset.as_object_mut().expect("an object").extend(value.map(|value| (key.to_owned(), value)));
        }
        let answers = card.answers();
        for (key, word) in CROISSANT_WORDS {
            if let Some((_, Some(answer))) = answers.iter().find(|(known, _)| *known == key) {
                dataset[word] = json!(answer);
            }
        }
        Ok(dataset)
    }

    fn file(&self, name: &str) -> Result<Json> {
        let path = self.folder.join(name);
        let mut file = File::open(&path).at(&path)?;
        let mut hasher = HashWriter(Sha256::new());
        let bytes = io::copy(&mut file, &mut hasher).at(&path)?;
        let hash: String = hasher.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(json!({ "@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": name,
            "contentSize": format!("{bytes} B"), "encodingFormat": "application/x-parquet", "sha256": hash }))
    }
}

/// A hash that can be written to.
struct HashWriter(Sha256);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The address of a licence, where SPDX has one page for it.
fn licence_url(licence: &str) -> String {
    match spdx::license_id(licence) {
        Some(id) => format!("https://spdx.org/licenses/{}", id.name),
        None => licence.to_owned(),
    }
}

/// The columns of the table.
fn records() -> Json {
    let fields: Vec<Json> = corpus::columns()
        .into_iter()
        .map(|(name, number)| {
            json!({ "@type": "cr:Field", "@id": format!("documents/{name}"), "name": name,
                "dataType": if number { "sc:Integer" } else { "sc:Text" },
                "source": { "fileObject": { "@id": "documents.parquet" }, "extract": { "column": name } } })
        })
        .collect();
    json!({ "@type": "cr:RecordSet", "@id": "documents", "name": "documents",
        "key": { "@id": "documents/id" }, "field": fields })
}

/// The context that the specification recommends, with the vocabularies that
/// are used here.
fn context_of() -> Json {
    let mut context = json!({
        "@language": "en",
        "@vocab": "https://schema.org/",
        "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/",
        "duo": "http://purl.obolibrary.org/obo/DUO_",
        "prov": "http://www.w3.org/ns/prov#",
        "conformsTo": "dct:conformsTo",
        "data": { "@id": "cr:data", "@type": "@json" },
        "dataType": { "@id": "cr:dataType", "@type": "@vocab" },
        "description": { "@container": "@language" },
        "name": { "@container": "@language" },
        "examples": { "@id": "cr:examples", "@type": "@json" },
    });
    let own = [
        "annotation",
        "arrayShape",
        "citeAs",
        "column",
        "containedIn",
        "equivalentProperty",
        "excludes",
        "extract",
        "field",
        "fileObject",
        "fileProperty",
        "fileSet",
        "format",
        "includes",
        "isArray",
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "readLines",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
        "samplingRate",
        "sdVersion",
        "separator",
        "source",
        "subField",
        "transform",
        "unArchive",
        "value",
    ];
    for word in own {
        context[word] = json!(format!("cr:{word}"));
    }
    context
}
