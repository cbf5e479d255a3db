//! Text in a given form: JSON of a schema, or what a regular expression
//! matches. At each step the tokens that can go on are known, and no other is
//! taken. The work is done by `llguidance`.

use std::sync::Arc;

use kwaya_base::{Error, Result};
use llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    token_bytes_from_tokenizer_json,
    toktrie::{ApproximateTokEnv, SimpleVob, TokEnv, TokRxInfo, TokTrie},
};
use tokenizers::Tokenizer;

/// The form of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON of this schema (<https://json-schema.org>), on one line.
    JsonSchema(String),
    /// What this regular expression matches as a whole.
    Regex(String),
}

/// The tokens of a model, ready for any form.
pub struct Forms {
    factory: ParserFactory,
    environment: TokEnv,
}

impl Forms {
    /// For the tokens of `tokenizer`, of which there are `vocab` in the model,
    /// and of which `end` ends a text.
    ///
    /// # Errors
    /// When the tokenizer's tokens do not fit together.
    pub fn new(tokenizer: &Tokenizer, vocab: usize, end: u32) -> Result<Self> {
        let json = tokenizer.to_string(false).map_err(|cause| failed(&cause))?;
        let json = serde_json::from_str(&json).map_err(|cause| failed(&cause))?;
        let mut words = token_bytes_from_tokenizer_json(&json).map_err(|cause| failed(&cause))?;
        words.resize(vocab, Vec::new());
        let trie = TokTrie::from(&TokRxInfo::new(vocab as u32, end), &words);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&environment).map_err(|cause| failed(&cause))?;
        factory.quiet();
        Ok(Self { factory, environment })
    }

    /// The bytes that a token stands for; none for a mark.
    pub fn bytes(&self, token: u32) -> &[u8] {
        self.environment.tok_trie().token(token)
    }

    /// A text of this form, from its beginning.
    ///
    /// # Errors
    /// `form-wrong` when the schema or the expression is none, or asks for
    /// what is not supported, with the cause.
    pub fn begin(&self, form: &Form) -> Result<Constrained> {
        let grammar = match form {
            Form::Regex(expression) => TopLevelGrammar::from_regex(expression),
            Form::JsonSchema(schema) => {
                let mut schema: serde_json::Value = serde_json::from_str(schema).map_err(|cause| failed(&cause))?;
                // White space without end would be allowed otherwise, and a
                // model can fall into it.
                if let Some(schema) = schema.as_object_mut() {
                    let spaces = serde_json::json!({
                        "whitespace_flexible": false, "item_separator": ", ", "key_separator": ": "
                    });
                    schema.insert("x-guidance".into(), spaces);
                }
                TopLevelGrammar::from_json_schema(schema)
            }
        };
        let parser = self.factory.create_parser(grammar).map_err(|cause| failed(&cause))?;
        let mut matcher = Matcher::new(Ok(parser));
        if let Some(cause) = matcher.get_error() {
            return Err(failed(&cause));
        }
        let allowed = matcher.compute_mask_or_eos().map_err(|cause| failed(&cause))?;
        Ok(Constrained { matcher, allowed })
    }
}

/// A text on its way to a form.
pub struct Constrained {
    matcher: Matcher,
    allowed: SimpleVob,
}

impl Constrained {
    /// Whether `token` may come next.
    pub fn allows(&self, token: u32) -> bool {
        self.allowed.is_allowed(token)
    }

    /// Goes on with `token`, which is allowed.
    ///
    /// # Errors
    /// `form-wrong` when it is not, or when the form has become too large to
    /// follow.
    pub fn take(&mut self, token: u32) -> Result<()> {
        self.matcher.consume_token(token).map_err(|cause| failed(&cause))?;
        self.allowed = self.matcher.compute_mask_or_eos().map_err(|cause| failed(&cause))?;
        Ok(())
    }

    /// Whether nothing can follow any more.
    pub fn is_over(&self) -> bool {
        self.matcher.is_stopped()
    }
}

fn failed(cause: &impl std::fmt::Display) -> Error {
    // The cause may quote the whole form: no more than its beginning is told.
    let cause: String = cause.to_string().lines().next().unwrap_or_default().chars().take(200).collect();
    Error::usage("form-wrong").arg("cause", cause)
}
