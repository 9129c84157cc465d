//! Whether every value that nothing is set in has an end.
//!
//! In: types that refer to each other. Out: the first of them that holds itself by value, or so much that its empty value
//! would be large. Whoever declares types, and be it a client, could otherwise make one of ten lines that no memory holds.

use super::{Shape, Type, TypeId};

/// How many fields the empty value of a type may have, those of the values in it included. Upstream's have a few dozen.
const MAX_EMPTY: usize = 4096;

/// A type whose empty value is too large, or without end.
pub(super) fn endless(types: &[Type]) -> Option<&Type> {
    let mut holders: Vec<Vec<usize>> = vec![Vec::new(); types.len()];
    let mut unknown: Vec<usize> = vec![0; types.len()];
    for (at, ty) in types.iter().enumerate() {
        for inner in always_held(types, ty) {
            holders[inner.0 as usize].push(at);
            unknown[at] += 1;
        }
    }
    let mut sizes: Vec<usize> = vec![1; types.len()];
    let mut open: Vec<usize> = (0..types.len()).filter(|at| unknown[*at] == 0).collect();
    while let Some(at) = open.pop() {
        for holder in &holders[at] {
            sizes[*holder] = sizes[*holder].saturating_add(sizes[at]);
            unknown[*holder] -= 1;
            if unknown[*holder] == 0 {
                open.push(*holder);
            }
        }
    }
    let at = (0..types.len()).find(|at| unknown[*at] > 0 || sizes[*at] > MAX_EMPTY)?;
    Some(&types[at])
}

/// The types of which every value of a type holds one, whatever a document says, or is one.
fn always_held(types: &[Type], ty: &Type) -> Vec<TypeId> {
    match &ty.shape {
        // They may be empty.
        Shape::List { .. } | Shape::Map { .. } => Vec::new(),
        Shape::Struct(fields) => {
            let is_struct = |id: &TypeId| types[id.0 as usize].as_struct().is_some();
            let by_value = fields.fields.iter().filter(|field| !field.pointer).map(|field| field.ty);
            by_value.filter(is_struct).collect()
        }
        other => other.inner(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{FieldDraft, SchemaBuilder, SchemaError, Shape, UnknownFields};

    /// Declares structs, each with fields of these types that are always there.
    fn built(structs: &[(&'static str, &[&'static str])]) -> Result<(), SchemaError> {
        let mut builder = SchemaBuilder::new();
        for (name, fields) in structs {
            let drafts = fields.iter().enumerate().map(|(at, ty)| {
                let ty = builder.reference(*ty);
                FieldDraft::plain(format!("field{at}"), ty)
            });
            let drafts = drafts.collect();
            builder.structure(*name, drafts, UnknownFields::Prune, None, Vec::new()).unwrap();
        }
        builder.build().map(drop)
    }

    #[test]
    fn a_type_that_holds_itself_by_value_is_refused() {
        let endless = |name: &str| Err(SchemaError::Endless { name: name.to_owned() });
        assert_eq!(built(&[("a", &["b"]), ("b", &["a"])]), endless("b"));
        assert_eq!(built(&[("a", &["b"]), ("b", &[])]), Ok(()));
        let doubled: &[(&str, &[&str])] = &[
            ("a", &["b", "b", "b", "b", "b", "b", "b", "b"]),
            ("b", &["c", "c", "c", "c", "c", "c", "c", "c"]),
            ("c", &["d", "d", "d", "d", "d", "d", "d", "d"]),
            ("d", &["e", "e", "e", "e", "e", "e", "e", "e"]),
            ("e", &[]),
        ];
        assert_eq!(built(doubled), endless("a"));
        assert_eq!(built(&doubled[1..]), Ok(()));
    }

    #[test]
    fn a_type_that_is_nothing_but_itself_is_refused() {
        let mut builder = SchemaBuilder::new();
        let list = builder.reference("list");
        builder.shape("list", Shape::ListOr(list)).unwrap();
        assert_eq!(builder.build().err(), Some(SchemaError::Endless { name: "list".to_owned() }));
    }

    #[test]
    fn what_a_document_must_name_to_go_on_may_be_of_its_own_type() {
        let mut builder = SchemaBuilder::new();
        let tree = builder.reference("tree");
        let field = FieldDraft::optional("left", tree);
        builder.structure("tree", vec![field], UnknownFields::Prune, None, Vec::new()).unwrap();
        assert!(builder.build().is_ok());
    }
}
