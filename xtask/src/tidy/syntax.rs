//! Rules that need Rust's syntax: lengths, and calls that may not be in production code.
//!
//! Text in strings and comments cannot trip these checks: they see tokens. Code that is compiled for tests only is
//! exempt, by the lines of its `#[cfg(test)]` items.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Problem;
use super::sources::Source;

/// Production lines per file. Beyond, a file is several files.
const FILE_LINES: usize = 600;

/// Lines per function, from its signature to its closing brace. Aim for less than half.
const FUNCTION_LINES: usize = 70;

/// Macros that have no place in finished code, tests included.
const BANNED_MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Checks a Rust file.
pub(super) fn check(source: &Source) -> Vec<Problem> {
    let file = match syn::parse_file(&source.text) {
        Ok(file) => file,
        Err(error) => {
            return vec![Problem::new(&source.path, error.span().start().line, format!("not Rust: {error}"))];
        }
    };
    let mut items = Items::default();
    items.visit_file(&file);
    let code = Code { source, tests: items.tests };
    let mut problems = Vec::new();
    problems.extend(code.file_length());
    problems.extend(items.functions.iter().filter_map(|function| code.function_length(function)));
    if let Ok(tokens) = source.text.parse::<TokenStream>() {
        code.walk(tokens, &mut problems);
    }
    problems
}

/// What a visit of the syntax tree finds.
#[derive(Default)]
struct Items {
    /// The lines of items that are compiled for tests only.
    tests: Vec<RangeInclusive<usize>>,
    functions: Vec<Function>,
}

struct Function {
    name: String,
    lines: RangeInclusive<usize>,
}

impl Items {
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let lines = signature.span().start().line..=block.span().end().line;
        self.functions.push(Function { name: signature.ident.to_string(), lines });
    }
}

impl<'ast> Visit<'ast> for Items {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if attributes(item).iter().any(is_for_tests) {
            self.tests.push(lines(item.span()));
        }
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if function.attrs.iter().any(is_for_tests) {
            self.tests.push(lines(function.span()));
        }
        self.function(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.function(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[test]`, `#[tokio::test]`, or a `#[cfg(…)]` that mentions `test` and does not negate it.
fn is_for_tests(attribute: &syn::Attribute) -> bool {
    let path = attribute.path();
    if path.segments.last().is_some_and(|segment| segment.ident == "test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else { return false };
    path.is_ident("cfg") && mentions(list.tokens.clone(), "test") && !mentions(list.tokens.clone(), "not")
}

fn mentions(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => mentions(group.stream(), word),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn lines(span: Span) -> RangeInclusive<usize> {
    span.start().line..=span.end().line
}

/// A file and the lines of it that are for tests.
struct Code<'a> {
    source: &'a Source,
    tests: Vec<RangeInclusive<usize>>,
}

impl Code<'_> {
    fn is_test(&self, line: usize) -> bool {
        self.source.is_test() || self.tests.iter().any(|lines| lines.contains(&line))
    }

    fn file_length(&self) -> Option<Problem> {
        let total = self.source.text.lines().count();
        let production = (1..=total).filter(|line| !self.is_test(*line)).count();
        let message = || format!("{production} production lines; more than {FILE_LINES} is several files");
        (production > FILE_LINES).then(|| Problem::new(&self.source.path, 1, message()))
    }

    fn function_length(&self, function: &Function) -> Option<Problem> {
        let start = *function.lines.start();
        let length = function.lines.end() - start + 1;
        let message = || format!("{} has {length} lines; the limit is {FUNCTION_LINES}", function.name);
        (length > FUNCTION_LINES && !self.is_test(start))
            .then(|| Problem::new(&self.source.path, start, message()))
    }

    /// Looks at every token, those inside of macros included.
    fn walk(&self, tokens: TokenStream, problems: &mut Vec<Problem>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (index, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.walk(group.stream(), problems),
                TokenTree::Ident(ident) => {
                    let line = ident.span().start().line;
                    let neighbours =
                        (index.checked_sub(1).and_then(|at| tokens.get(at)), &tokens[index + 1..]);
                    if let Some(message) = self.objection(&ident.to_string(), line, neighbours) {
                        problems.push(Problem::new(&self.source.path, line, message));
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn objection(
        &self,
        word: &str,
        line: usize,
        (before, after): (Option<&TokenTree>, &[TokenTree]),
    ) -> Option<String> {
        let is_macro = after.first().is_some_and(|token| is_punct(token, '!'))
            && matches!(after.get(1), Some(TokenTree::Group(_)));
        if is_macro && BANNED_MACROS.contains(&word) {
            return Some(format!("{word}! has no place in finished code"));
        }
        let is_method = before.is_some_and(|token| is_punct(token, '.'));
        let is_called_bare = matches!(after.first(), Some(TokenTree::Group(group))
            if group.delimiter() == Delimiter::Parenthesis && group.stream().is_empty());
        if word == "unwrap" && is_method && is_called_bare && !self.is_test(line) {
            return Some("unwrap() outside tests: handle it, or expect(\"why it cannot fail\")".to_owned());
        }
        None
    }
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

#[cfg(test)]
mod tests;
