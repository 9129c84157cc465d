//! Puts a [`Schema`] together from declarations that may refer forward.
//!
//! In: struct, alias, list and map declarations in any order. Out: a closed, flattened [`Schema`], or the first
//! reference that leads nowhere.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{
    Embedded, Field, KindFacts, ListKind, MapKind, PatchStrategy, Presence, Schema, Shape, Struct,
    StructKind, Type, TypeId, UnknownFields,
};

/// Why declarations do not make a schema. Each is a fault of whoever wrote them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SchemaError {
    /// A type is mentioned and nowhere declared.
    #[error("type {name} is not declared")]
    Undeclared {
        /// The type.
        name: String,
    },
    /// A type is declared twice.
    #[error("type {name} is declared twice")]
    Duplicate {
        /// The type.
        name: String,
    },
    /// Something that is no struct is embedded, or a struct embeds itself.
    #[error("{owner} cannot embed {name}")]
    BadEmbedding {
        /// The struct that embeds.
        owner: String,
        /// What it embeds.
        name: String,
    },
    /// A struct has two fields of one name, or too many fields.
    #[error("{owner} cannot have a field {name}")]
    BadField {
        /// The struct.
        owner: String,
        /// The field.
        name: String,
    },
    /// A value of a type would hold itself, or far too much, though nothing is set in it.
    #[error("a value of type {name} would be too large, or without end")]
    Endless {
        /// The type.
        name: String,
    },
    /// A line of a table cannot be read.
    #[error("line {line} of the type table: {reason}")]
    BadTable {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// A field as it is declared: an empty name embeds the type, whose fields then belong to the struct.
#[derive(Debug, Clone)]
pub struct FieldDraft(pub(crate) Field);

impl FieldDraft {
    /// A field that may be unset and is then left out, with nothing else declared.
    #[must_use]
    pub fn optional(name: impl Into<Cow<'static, str>>, ty: TypeId) -> FieldDraft {
        FieldDraft(Field { pointer: true, omit_empty: true, ..blank(name.into(), ty) })
    }

    /// A field that Go holds by value and always writes.
    #[must_use]
    pub fn plain(name: impl Into<Cow<'static, str>>, ty: TypeId) -> FieldDraft {
        FieldDraft(blank(name.into(), ty))
    }

    /// Changes what else is declared.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Field)) -> FieldDraft {
        change(&mut self.0);
        self
    }

    /// Declares the field required.
    #[must_use]
    pub fn required(self) -> FieldDraft {
        self.with(|field| field.presence = Some(Presence::Required))
    }
}

/// A field with a name and a type only.
fn blank(name: Cow<'static, str>, ty: TypeId) -> Field {
    Field {
        name,
        ty,
        pointer: false,
        omit_empty: false,
        omit_zero: false,
        proto: None,
        presence: None,
        struct_kind: StructKind::Unspecified,
        patch: PatchStrategy::default(),
        merge_key: None,
        default: None,
        feature_gate: None,
        rules: Vec::new(),
    }
}

/// Collects declarations.
#[derive(Debug, Default)]
pub struct SchemaBuilder {
    types: Vec<Option<Draft>>,
    names: Vec<Cow<'static, str>>,
    by_name: HashMap<Cow<'static, str>, TypeId>,
    anonymous: HashMap<(TypeId, Anonymous), TypeId>,
}

/// What tells anonymous types of one element type apart.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Anonymous {
    List(ListKind),
    Map(MapKind),
}

#[derive(Debug)]
struct Draft {
    shape: DraftShape,
    enum_values: Vec<Cow<'static, str>>,
    kind: Option<KindFacts>,
    rules: Vec<Cow<'static, str>>,
}

#[derive(Debug)]
enum DraftShape {
    Done(Shape),
    Alias(TypeId),
    Struct { fields: Vec<FieldDraft>, kind: StructKind, unknown: UnknownFields },
}

impl SchemaBuilder {
    /// No types at all.
    #[must_use]
    pub fn new() -> SchemaBuilder {
        SchemaBuilder::default()
    }

    /// The id of the type called `name`, which may be declared later.
    pub fn reference(&mut self, name: impl Into<Cow<'static, str>>) -> TypeId {
        let name = name.into();
        if let Some(id) = self.by_name.get(&name) {
            return *id;
        }
        let id = self.next(name.clone());
        self.by_name.insert(name, id);
        id
    }

    /// An anonymous list of `item`.
    pub fn list(&mut self, item: TypeId, kind: ListKind) -> TypeId {
        if let Some(id) = self.anonymous.get(&(item, Anonymous::List(kind.clone()))) {
            return *id;
        }
        let name = format!("[]{}", self.names[item.0 as usize]);
        let id = self.anonymous_type(name, Shape::List { item, kind: kind.clone() });
        self.anonymous.insert((item, Anonymous::List(kind)), id);
        id
    }

    /// An anonymous map from strings to `value`.
    pub fn map(&mut self, value: TypeId, kind: MapKind) -> TypeId {
        if let Some(id) = self.anonymous.get(&(value, Anonymous::Map(kind))) {
            return *id;
        }
        let name = format!("map[string]{}", self.names[value.0 as usize]);
        let id = self.anonymous_type(name, Shape::Map { value, kind });
        self.anonymous.insert((value, Anonymous::Map(kind)), id);
        id
    }

    /// Declares a type that is written like `shape`, which must not be a struct.
    ///
    /// # Errors
    /// [`SchemaError::Duplicate`].
    pub fn shape(&mut self, name: impl Into<Cow<'static, str>>, shape: Shape) -> Result<TypeId, SchemaError> {
        let draft =
            Draft { shape: DraftShape::Done(shape), enum_values: Vec::new(), kind: None, rules: Vec::new() };
        self.declare(name.into(), draft)
    }

    /// Declares a type that is written like another one.
    ///
    /// # Errors
    /// [`SchemaError::Duplicate`].
    pub fn alias(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        of: TypeId,
        enum_values: Vec<Cow<'static, str>>,
        rules: Vec<Cow<'static, str>>,
    ) -> Result<TypeId, SchemaError> {
        self.declare(name.into(), Draft { shape: DraftShape::Alias(of), enum_values, kind: None, rules })
    }

    /// Declares a struct. A rule `structType=atomic` makes it atomic.
    ///
    /// # Errors
    /// [`SchemaError::Duplicate`].
    pub fn structure(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        fields: Vec<FieldDraft>,
        unknown: UnknownFields,
        kind: Option<KindFacts>,
        rules: Vec<Cow<'static, str>>,
    ) -> Result<TypeId, SchemaError> {
        let atomic = rules.iter().any(|rule| rule == "structType=atomic");
        let merge = if atomic { StructKind::Atomic } else { StructKind::Unspecified };
        let shape = DraftShape::Struct { fields, kind: merge, unknown };
        self.declare(name.into(), Draft { shape, enum_values: Vec::new(), kind, rules })
    }

    /// Resolves aliases, flattens embedded structs and checks every reference.
    ///
    /// # Errors
    /// Any of [`SchemaError`] but `BadTable`.
    pub fn build(self) -> Result<Schema, SchemaError> {
        let undeclared = self.types.iter().zip(&self.names).find(|(draft, _)| draft.is_none());
        if let Some((_, name)) = undeclared {
            return Err(SchemaError::Undeclared { name: name.clone().into_owned() });
        }
        let drafts: Vec<Draft> = self.types.into_iter().flatten().collect();
        let resolver = Resolver { drafts: &drafts, names: &self.names };
        let shapes = (0u32..).map(TypeId).zip(&drafts).map(|(id, _)| resolver.shape(id, 0));
        let shapes = shapes.collect::<Result<Vec<Shape>, SchemaError>>()?;
        let types = drafts.into_iter().zip(shapes).zip(self.names).map(|((draft, shape), name)| Type {
            name,
            shape,
            enum_values: draft.enum_values,
            kind: draft.kind,
            rules: draft.rules,
        });
        let types: Vec<Type> = types.collect();
        if let Some(endless) = super::bounds::endless(&types) {
            return Err(SchemaError::Endless { name: endless.name.clone().into_owned() });
        }
        let has_defaults = with_defaults(&types);
        Ok(Schema { types, by_name: self.by_name, has_defaults })
    }

    fn next(&mut self, name: Cow<'static, str>) -> TypeId {
        let id =
            u32::try_from(self.types.len()).expect("declarations are held in memory, far fewer than 2^32");
        self.types.push(None);
        self.names.push(name);
        TypeId(id)
    }

    fn anonymous_type(&mut self, name: String, shape: Shape) -> TypeId {
        let id = self.next(Cow::Owned(name.clone()));
        self.by_name.entry(Cow::Owned(name)).or_insert(id);
        self.types[id.0 as usize] = Some(Draft {
            shape: DraftShape::Done(shape),
            enum_values: Vec::new(),
            kind: None,
            rules: Vec::new(),
        });
        id
    }

    fn declare(&mut self, name: Cow<'static, str>, draft: Draft) -> Result<TypeId, SchemaError> {
        let id = self.reference(name);
        let slot = &mut self.types[id.0 as usize];
        if slot.is_some() {
            return Err(SchemaError::Duplicate { name: self.names[id.0 as usize].clone().into_owned() });
        }
        *slot = Some(draft);
        Ok(id)
    }
}

/// Which types declare a default, themselves or in a type inside of them.
fn with_defaults(types: &[Type]) -> Vec<bool> {
    let declares = |ty: &Type| {
        ty.as_struct().is_some_and(|fields| fields.fields.iter().any(|field| field.default.is_some()))
    };
    let mut found: Vec<bool> = types.iter().map(declares).collect();
    let mut holders: Vec<Vec<usize>> = vec![Vec::new(); types.len()];
    for (at, ty) in types.iter().enumerate() {
        ty.shape.inner().into_iter().for_each(|inner| holders[inner.0 as usize].push(at));
    }
    let mut open: Vec<usize> = (0..types.len()).filter(|at| found[*at]).collect();
    while let Some(at) = open.pop() {
        let new = holders[at].iter().filter(|holder| !found[**holder]).copied().collect::<Vec<usize>>();
        new.iter().for_each(|holder| found[*holder] = true);
        open.extend(new);
    }
    found
}

/// How deep aliases and embeddings may nest; more is a cycle.
const MAX_INDIRECTION: u32 = 16;

/// Turns drafts into shapes.
struct Resolver<'a> {
    drafts: &'a [Draft],
    names: &'a [Cow<'static, str>],
}

impl Resolver<'_> {
    fn name(&self, id: TypeId) -> String {
        self.names[id.0 as usize].clone().into_owned()
    }

    fn shape(&self, id: TypeId, depth: u32) -> Result<Shape, SchemaError> {
        if depth > MAX_INDIRECTION {
            return Err(SchemaError::BadEmbedding { owner: self.name(id), name: self.name(id) });
        }
        match &self.drafts[id.0 as usize].shape {
            DraftShape::Done(shape) => Ok(shape.clone()),
            DraftShape::Alias(of) => self.shape(*of, depth + 1),
            DraftShape::Struct { fields, kind, unknown } => {
                let (fields, embedded) = self.flatten(id, fields, depth)?;
                let by_name = self.index(id, &fields)?;
                Ok(Shape::Struct(Struct { fields, by_name, embedded, kind: *kind, unknown: *unknown }))
            }
        }
    }

    /// The fields of a struct with those of embedded structs in place.
    fn flatten(
        &self,
        owner: TypeId,
        drafts: &[FieldDraft],
        depth: u32,
    ) -> Result<(Vec<Field>, Vec<Embedded>), SchemaError> {
        let mut fields = Vec::with_capacity(drafts.len());
        let mut embedded = Vec::new();
        for FieldDraft(field) in drafts {
            if !field.name.is_empty() {
                fields.push(field.clone());
                continue;
            }
            let Shape::Struct(inner) = self.shape(field.ty, depth + 1)? else {
                return Err(SchemaError::BadEmbedding { owner: self.name(owner), name: self.name(field.ty) });
            };
            embedded.push(Embedded {
                ty: field.ty,
                proto: field.proto,
                start: self.narrow(owner, fields.len())?,
                len: self.narrow(owner, inner.fields.len())?,
            });
            fields.extend(inner.fields);
        }
        Ok((fields, embedded))
    }

    /// Positions ordered by field name.
    fn index(&self, owner: TypeId, fields: &[Field]) -> Result<Vec<u16>, SchemaError> {
        let count = self.narrow(owner, fields.len())?;
        let mut by_name: Vec<u16> = (0..count).collect();
        let name = |at: u16| fields[usize::from(at)].name.as_ref();
        by_name.sort_by_key(|at| name(*at));
        match by_name.windows(2).find(|pair| name(pair[0]) == name(pair[1])) {
            Some(pair) => {
                Err(SchemaError::BadField { owner: self.name(owner), name: name(pair[0]).to_owned() })
            }
            None => Ok(by_name),
        }
    }

    fn narrow(&self, owner: TypeId, count: usize) -> Result<u16, SchemaError> {
        let too_many = |_| SchemaError::BadField { owner: self.name(owner), name: format!("number {count}") };
        u16::try_from(count).map_err(too_many)
    }
}
