//! A request's query, decoded.

use percent_encoding::percent_decode_str;

use crate::answer::Refusal;

/// Query parameters in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands after the `?`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((unescape(name)?, unescape(value)?))
        };
        Ok(Self(pairs.map(pair).collect::<Result<_, Refusal>>()?))
    }

    /// The first value of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(crate) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// A boolean: everything but `0` and `false` is true, nothing at all included, as upstream reads one.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A number, if it is given.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Refusal::bad_request(format!("{name}: {text:?} is no number")))
    }
}

fn unescape(text: &str) -> Result<String, Refusal> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Into::into).map_err(|_| Refusal::bad_request("the query is not UTF-8 when unescaped"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_in_order() {
        let query = Query::parse("command=sh&command=-c&command=a+%26%3D&tty&input=0&tailLines=10").unwrap();
        assert_eq!(query.all("command").collect::<Vec<_>>(), ["sh", "-c", "a &="]);
        assert!(query.flag("tty") && !query.flag("input") && !query.flag("error"));
        assert_eq!(query.number("tailLines"), Ok(Some(10)));
        assert_eq!(query.number("limitBytes"), Ok(None));
        assert!(query.number("command").is_err());
        assert!(Query::parse("a=%ff").is_err());
    }
}
