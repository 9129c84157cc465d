//! What a type is: the graph that every other module of this crate walks.
//!
//! A [`Schema`] is an arena of [`Type`]s that refer to each other by [`TypeId`]; it is built once by a
//! [`SchemaBuilder`] and never changes. Built-in types come from the committed table (`table.rs`); custom resource
//! definitions can be turned into the same graph.
//!
//! Invariants: every `TypeId` inside a schema points into that schema; the fields of a struct have different
//! names; embedded Go structs are flattened into the fields of the struct that embeds them, in Go's order, and
//! remembered in [`Struct::embedded`] because protobuf nests them.

mod bounds;
mod builder;

use std::borrow::Cow;
use std::collections::HashMap;

pub use builder::{FieldDraft, SchemaBuilder, SchemaError};

/// A type's place in its [`Schema`]. Meaningless in any other schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(crate) u32);

/// A closed graph of types.
#[derive(Debug)]
pub struct Schema {
    types: Vec<Type>,
    by_name: HashMap<Cow<'static, str>, TypeId>,
    /// Per type, whether it or a type inside of it declares a default.
    has_defaults: Vec<bool>,
}

impl Schema {
    /// The type called `name`, for instance `apps/v1.Deployment` or `[]core/v1.Container`.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// The type at `id`.
    ///
    /// # Panics
    /// If `id` belongs to another, larger schema: a programming error.
    #[must_use]
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    /// Whether a value of the type can lack a default somewhere.
    pub(crate) fn has_defaults(&self, id: TypeId) -> bool {
        self.has_defaults[id.0 as usize]
    }

    /// Every type with its id, in the order in which they were declared.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        // A schema holds far fewer than 2^32 types: the builder numbers them with u32.
        (0u32..).map(TypeId).zip(&self.types)
    }
}

/// A named type, or an anonymous list or map that bears its Go notation as a name.
#[derive(Debug)]
pub struct Type {
    /// `package/version.Name` as in `core/v1.PodSpec`, a bare name for primitives.
    pub name: Cow<'static, str>,
    /// How a value of the type is written and checked.
    pub shape: Shape,
    /// The values of an enumerated string type in the order of declaration; upstream does not check them when
    /// decoding.
    pub enum_values: Vec<Cow<'static, str>>,
    /// Set if the type is an API kind of its own.
    pub kind: Option<KindFacts>,
    /// Further markers, as upstream writes them (`enum`, `union`, `k8s:supportsSubresource="/status"`).
    pub rules: Vec<Cow<'static, str>>,
}

impl Shape {
    /// The types that a value directly holds values of.
    pub(crate) fn inner(&self) -> Vec<TypeId> {
        match self {
            Shape::BoolOr(id) | Shape::ListOr(id) | Shape::StringsOr(id) => vec![*id],
            Shape::List { item: id, .. } | Shape::Map { value: id, .. } => vec![*id],
            Shape::Struct(fields) => fields.fields.iter().map(|field| field.ty).collect(),
            Shape::Any
            | Shape::Bool
            | Shape::Bytes
            | Shape::Duration
            | Shape::Float64
            | Shape::Int32
            | Shape::Int64
            | Shape::IntOrString
            | Shape::MicroTime
            | Shape::Quantity
            | Shape::String
            | Shape::Time => Vec::new(),
        }
    }
}

impl Type {
    /// The struct behind the type, if it is one.
    #[must_use]
    pub fn as_struct(&self) -> Option<&Struct> {
        match &self.shape {
            Shape::Struct(fields) => Some(fields),
            _ => None,
        }
    }
}

/// What is known about a type that is a kind.
#[derive(Debug, Default)]
pub struct KindFacts {
    /// Where objects live; `None` for kinds that are never stored, such as `Status`.
    pub scope: Option<Scope>,
    /// Upstream's client markers: `genclient:onlyVerbs=create`, a `genclient:method=…` per subresource.
    pub client: Vec<Cow<'static, str>>,
}

/// Where the objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Once per cluster.
    Cluster,
    /// In namespaces.
    Namespaced,
}

/// How a value is written in JSON, and what is checked when it is read.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Any JSON value, kept as it is; `null` when unset (`runtime.RawExtension`, `apiextensions/v1.JSON`).
    Any,
    /// true or false.
    Bool,
    /// A byte string, written in base64.
    Bytes,
    /// A Go duration, `1h2m3s`.
    Duration,
    /// An IEEE 754 double.
    Float64,
    /// A 32-bit signed integer.
    Int32,
    /// A 64-bit signed integer.
    Int64,
    /// A 32-bit integer or a string.
    IntOrString,
    /// RFC 3339 with microseconds.
    MicroTime,
    /// A fixed-point number with a suffix, see [`crate::quantity`].
    Quantity,
    /// UTF-8 text.
    String,
    /// RFC 3339 with seconds.
    Time,
    /// A boolean or a value of another type.
    BoolOr(TypeId),
    /// A list of a type or one value of it.
    ListOr(TypeId),
    /// A list of strings or a value of another type.
    StringsOr(TypeId),
    /// A list of items.
    List {
        /// The items' type.
        item: TypeId,
        /// How two versions of the list merge.
        kind: ListKind,
    },
    /// String keys, values of one type.
    Map {
        /// The values' type.
        value: TypeId,
        /// How two versions of the map merge.
        kind: MapKind,
    },
    /// Named fields.
    Struct(Struct),
}

/// Upstream's `listType`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// Not declared; merges as a whole.
    Unspecified,
    /// Replaced as a whole.
    Atomic,
    /// Scalars, each at most once.
    Set,
    /// Objects that are told apart by the values of these fields.
    Map(Vec<Cow<'static, str>>),
}

/// Upstream's `mapType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MapKind {
    /// Not declared; merges key by key.
    Unspecified,
    /// Replaced as a whole.
    Atomic,
    /// Merges key by key.
    Granular,
}

/// Upstream's `structType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StructKind {
    /// Not declared; merges field by field.
    Unspecified,
    /// Replaced as a whole.
    Atomic,
    /// Merges field by field.
    Granular,
}

/// What becomes of a field that the schema does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownFields {
    /// It is dropped and reported.
    Prune,
    /// It is kept as it is (`x-kubernetes-preserve-unknown-fields`).
    Preserve,
}

/// A type with named fields.
#[derive(Debug, Clone)]
pub struct Struct {
    /// In the order in which Go writes them, those of embedded structs included.
    pub fields: Vec<Field>,
    /// Positions in `fields`, ordered by name.
    by_name: Vec<u16>,
    /// Which runs of `fields` come from embedded structs; protobuf writes each as a message of its own.
    pub embedded: Vec<Embedded>,
    /// How two versions merge.
    pub kind: StructKind,
    /// What happens to other fields.
    pub unknown: UnknownFields,
}

impl Struct {
    /// The position in `fields` of the field called `name`, compared case by case.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        let found = self.by_name.binary_search_by(|at| self.fields[usize::from(*at)].name.as_ref().cmp(name));
        found.ok().map(|rank| usize::from(self.by_name[rank]))
    }

    /// The field called `name`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.position(name).map(|at| &self.fields[at])
    }
}

/// A run of fields that Go declares in an embedded struct.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// The embedded struct.
    pub ty: TypeId,
    /// Its field number and encoding in protobuf; `None` for `TypeMeta`, which travels outside of the message.
    pub proto: Option<Proto>,
    /// The first of its fields in [`Struct::fields`].
    pub start: u16,
    /// How many fields it has, those of structs embedded in it included.
    pub len: u16,
}

/// One field of a struct.
#[derive(Debug, Clone)]
pub struct Field {
    /// Name in JSON.
    pub name: Cow<'static, str>,
    /// Type of the value, pointers not counted.
    pub ty: TypeId,
    /// Whether Go holds a pointer, so that unset and zero differ.
    pub pointer: bool,
    /// Whether Go leaves out an empty value; no effect on structs that are not pointers.
    pub omit_empty: bool,
    /// Whether Go leaves out a zero struct.
    pub omit_zero: bool,
    /// Number and encoding in protobuf.
    pub proto: Option<Proto>,
    /// Whether upstream marks the field optional or required, if either.
    pub presence: Option<Presence>,
    /// Overrides the struct kind of the field's type.
    pub struct_kind: StructKind,
    /// How a strategic merge patch treats the field.
    pub patch: PatchStrategy,
    /// The field by which a strategic merge patch tells a list's items apart.
    pub merge_key: Option<Cow<'static, str>>,
    /// Declared default.
    pub default: Option<serde_json::Value>,
    /// The feature gates that guard the field, separated by commas.
    pub feature_gate: Option<Cow<'static, str>>,
    /// Further markers, as upstream writes them.
    pub rules: Vec<Cow<'static, str>>,
}

/// Upstream's `+optional` and `+required`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// May be left out.
    Optional,
    /// Must be given.
    Required,
}

/// A field's place in protobuf, as upstream's struct tag has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proto {
    /// Field number.
    pub number: u32,
    /// Wire type.
    pub wire: Wire,
    /// Whether the tag says `rep`. Upstream's tags say so of some single values too; the type decides.
    pub repeated: bool,
}

/// Protobuf wire types that upstream uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Variable-length integer.
    Varint,
    /// Length and bytes.
    Bytes,
}

/// Upstream's `patchStrategy` tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PatchStrategy {
    /// Lists merge by item instead of being replaced.
    pub merge: bool,
    /// Maps are replaced instead of being merged.
    pub replace: bool,
    /// Patches may carry `$retainKeys`.
    pub retain_keys: bool,
}
