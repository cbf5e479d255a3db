//! Walking through XML. No entity is expanded but the five that all XML has,
//! so a text is never longer than its file.

use quick_xml::{
    Reader,
    escape::{resolve_predefined_entity, unescape},
    events::{BytesStart, Event},
};

use crate::{Reason, extract::Refusal};

/// Elements within elements, at most.
const DEPTH_MAX: usize = 1000;

/// What is met on the way.
pub(crate) enum Node<'a> {
    /// An element begins; its name without a prefix is [`name`].
    Open(&'a BytesStart<'a>),
    /// An element ends.
    Close(&'a str),
    /// Text, or a part of one.
    Text(&'a str),
}

/// Calls `take` with all that is in `xml`, in order.
///
/// # Errors
/// `Damaged` when it is not well formed, or ends too soon.
pub(crate) fn walk(xml: &str, mut take: impl FnMut(Node<'_>)) -> Result<(), Refusal> {
    let damaged = |cause: String| (Reason::Damaged, cause);
    let mut reader = Reader::from_str(xml);
    reader.config_mut().allow_dangling_amp = true;
    reader.config_mut().expand_empty_elements = true;
    let mut depth = 0_usize;
    loop {
        match reader.read_event().map_err(|e| damaged(e.to_string()))? {
            Event::Start(element) => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(damaged(format!("elements more than {DEPTH_MAX} deep")));
                }
                take(Node::Open(&element));
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                take(Node::Close(local(element.name().0)));
            }
            Event::Text(text) => take(Node::Text(&text.xml10_content())),
            Event::CData(text) => take(Node::Text(&text.xml10_content())),
            Event::GeneralRef(reference) => {
                if let Ok(Some(character)) = reference.resolve_char_ref() {
                    take(Node::Text(character.encode_utf8(&mut [0; 4])));
                } else if let Some(text) = resolve_predefined_entity(&reference.xml10_content()) {
                    take(Node::Text(text));
                }
            }
            Event::Eof if depth == 0 => return Ok(()),
            Event::Eof => return Err(damaged("the file ends too soon".to_owned())),
            _ => {}
        }
    }
}

/// The name of an element without its prefix.
pub(crate) fn name<'a>(element: &'a BytesStart<'_>) -> &'a str {
    local(element.name().0)
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// The value of an attribute, whatever its prefix.
pub(crate) fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.attributes().with_checks(false).flatten().find(|a| local(a.key.0) == name)?;
    Some(unescape(&found.value).map_or_else(|_| found.value.clone().into_owned(), |value| value.into_owned()))
}
