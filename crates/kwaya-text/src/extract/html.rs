//! The main text of a page.

use dom_smoothie::{Config, Readability, TextMode};

/// The main text of a page, without menus and the like; all of the page when
/// no main text stands out.
pub(crate) fn text(page: &str) -> String {
    let config = Config { text_mode: TextMode::Formatted, ..Config::default() };
    let article = Readability::new(page, None, Some(config)).and_then(|mut page| page.parse());
    match article {
        Ok(article) if !article.text_content.trim().is_empty() => {
            // The heading is part of the text, and often no part of the body.
            let (title, text) = (article.title.trim(), article.text_content.trim());
            if title.is_empty() || text.starts_with(title) { text.to_owned() } else { format!("{title}\n\n{text}") }
        }
        _ => {
            let document = dom_query::Document::from(page);
            document.select("script, style, noscript, template").remove();
            document.select("body").formatted_text().to_string()
        }
    }
}
