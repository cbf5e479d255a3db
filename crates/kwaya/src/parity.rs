//! `kwaya corpus parity`: what each language costs, as a table, a chart and a
//! sentence.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use kwaya_base::{Error, Result, files, say};
use kwaya_recipe::{
    parity::{self, Kind, Parity},
    words,
};

use crate::{
    bar::Bar,
    commands::{json, print},
};

pub(crate) fn parity(m: &ArgMatches) -> Result<()> {
    let folder = m.get_one::<String>("dir").map(PathBuf::from);
    let parallel: Vec<(String, PathBuf)> =
        m.get_many::<String>("parallel").into_iter().flatten().map(|typed| pair(typed)).collect::<Result<_>>()?;
    let typed = m.get_many::<String>("tokenizer").into_iter().flatten().map(PathBuf::from);
    // That of the recipe, once there is one.
    let own = folder.iter().filter(|folder| folder.join("build/tokenizer.json").exists()).cloned();
    let tokenizers = parity::open(&own.chain(typed).collect::<Vec<_>>())?;
    let bar = Bar::new();
    let mut measured = Vec::new();
    if !parallel.is_empty() {
        measured.push(parity::of_parallel(&parallel, &tokenizers, &bar)?);
    } else if let Some(folder) = &folder {
        measured.push(parity::of_corpus(folder, &tokenizers, &bar)?);
    }
    let Some(parity) = measured.pop() else { return Err(Error::usage("parity-nothing")) };
    if let Some(path) = m.get_one::<String>("chart") {
        files::write(Path::new(path), parity.chart()?.as_bytes())?;
    }
    if !json(m, &parity) {
        show(&parity);
    }
    Ok(())
}

/// A language and its file, typed as `sw=FILE`.
fn pair(typed: &str) -> Result<(String, PathBuf)> {
    match typed.split_once('=') {
        Some((language, path)) if !language.is_empty() && !path.is_empty() => Ok((language.to_owned(), path.into())),
        _ => Err(Error::usage("parity-pair").arg("value", typed)),
    }
}

fn show(parity: &Parity) {
    print(&say!("parity-amounts"));
    for (language, amount) in &parity.languages {
        print(&format!(
            "{language:<12} {:>12} {:>14} {:>12} {:>12}",
            words::count(amount.documents),
            words::count(amount.words),
            words::count(amount.sentences),
            words::bytes(amount.bytes),
        ));
    }
    for prices in &parity.tokenizers {
        print("");
        print(&say!("parity-head", tokenizer = prices.tokenizer, count = words::count(prices.vocabulary as u64)));
        for (language, price) in &prices.languages {
            print(&format!(
                "{language:<12} {:>12} {:>10.3} {:>10.2} {:>14.1} {:>14} {:>10.2}",
                words::count(price.tokens),
                price.per_byte,
                price.per_word,
                price.per_sentence,
                price.beside_english.map_or_else(|| "-".to_owned(), |times| format!("{times:.2}")),
                price.beside_best,
            ));
        }
    }
    let sentences = parity.sentences();
    if !sentences.is_empty() {
        print("");
    }
    sentences.iter().for_each(|sentence| print(sentence));
    if parity.kind == Kind::Corpus {
        print(&say!("parity-corpus"));
    }
}
