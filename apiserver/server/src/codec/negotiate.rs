//! What a client accepts: `application/json;as=Table;v=v1;g=meta.k8s.io,application/json;q=0.5`.

use http::StatusCode;
use keelson_api_registry::status::ApiError;

use super::{YAML, protobuf::PROTOBUF};
use crate::{answer::JSON, write::body};

/// What objects are written in, in answers and in bodies: what a refusal lists.
pub(crate) const OFFERED: &[&str] = &[JSON, YAML, PROTOBUF];

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How it is written.
    pub media: Media,
    /// What is written.
    pub form: Form,
    /// Whether JSON is indented for people.
    pub pretty: bool,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

/// What of an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The object.
    Object,
    /// `meta.k8s.io/v1` Table.
    Table(Include),
    /// `meta.k8s.io/v1` PartialObjectMetadata, or a list of them.
    Partial(Count),
}

/// Of how many objects the metadata is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Of one: PartialObjectMetadata.
    One,
    /// Of a list: PartialObjectMetadataList.
    Many,
}

/// What of its object a row of a Table carries: the query parameter `includeObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the parameter; the empty text means metadata.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        match text {
            "None" => Ok(Self::None),
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            other => Err(ApiError::bad_request(format!("unrecognized includeObject value: {other:?}"))),
        }
    }
}

impl Wanted {
    /// JSON, the object itself.
    pub const PLAIN: Self = Self { media: Media::Json, form: Form::Object, pretty: false };

    /// Reads an `Accept` header; an empty one accepts everything. Of what is accepted the most wanted that is
    /// known is taken, of equally wanted ones the first.
    ///
    /// # Errors
    /// 406 when nothing of it is known.
    pub fn parse(accept: &str) -> Result<Self, ApiError> {
        if accept.trim().is_empty() {
            return Ok(Self::PLAIN);
        }
        let known = ranges(accept).iter().find_map(Range::wanted);
        known.ok_or_else(|| ApiError::not_acceptable(OFFERED))
    }

    /// Refuses the metadata of a list where there is one object of this kind, and that of one object where there is a
    /// list. A watch tells of one object after the other, and takes both for that.
    ///
    /// # Errors
    /// 406.
    pub(crate) fn check_count(&self, found: Count, kind: body::Wanted<'_>) -> Result<(), ApiError> {
        let kind = body::internal_go_type(kind);
        let message = match (self.form, found) {
            (Form::Partial(Count::One), Count::Many) => {
                format!(
                    "you requested PartialObjectMetadata, but the requested object is a list (*{kind}List)"
                )
            }
            (Form::Partial(Count::Many), Count::One) => {
                format!(
                    "you requested PartialObjectMetadataList, but the requested object is not a list (*{kind})"
                )
            }
            _ => return Ok(()),
        };
        Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message))
    }

    /// The same for a watch, which has no form in YAML.
    ///
    /// # Errors
    /// 406 for YAML.
    pub fn streamed(self) -> Result<Self, ApiError> {
        match self.media {
            Media::Json | Media::Protobuf => Ok(self),
            Media::Yaml => {
                let message = "only the following media types are accepted: application/json;stream=watch, \
                               application/vnd.kubernetes.protobuf;stream=watch";
                Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message))
            }
        }
    }
}

impl Media {
    /// How a Status is written for a client with this `Accept` header: it has no other form, and where nothing fits it is
    /// JSON, because a failure must not hide behind another.
    pub(super) fn of_status(accept: &str) -> Self {
        let known =
            ranges(accept).iter().filter(|range| range.parameter("as").is_empty()).find_map(Range::media);
        known.unwrap_or(Self::Json)
    }
}

/// The entries of an `Accept` header, the most wanted first, without those that are not wanted at all.
fn ranges(accept: &str) -> Vec<Range<'_>> {
    let mut ranges: Vec<_> =
        accept.split(',').filter_map(Range::parse).filter(|range| range.weight > 0).collect();
    // Stable: the client's order stays where the weights are equal.
    ranges.sort_by_key(|range| std::cmp::Reverse(range.weight));
    ranges
}

/// One entry of an `Accept` header.
struct Range<'a> {
    media: String,
    parameters: Vec<(&'a str, &'a str)>,
    /// Thousandths.
    weight: u16,
}

impl<'a> Range<'a> {
    /// `None` for an empty entry.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().filter(|media| !media.is_empty())?.to_ascii_lowercase();
        let mut weight = 1000;
        let mut parameters = Vec::new();
        for part in parts {
            match part.split_once('=').map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))) {
                Some(("q", value)) => weight = thousandths(value),
                Some(parameter) => parameters.push(parameter),
                None => {}
            }
        }
        Some(Self { media, parameters, weight })
    }

    fn parameter(&self, name: &str) -> &'a str {
        self.parameters.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// The media type, if it is known.
    fn media(&self) -> Option<Media> {
        match self.media.as_str() {
            JSON | "application/*" | "*/*" => Some(Media::Json),
            YAML => Some(Media::Yaml),
            PROTOBUF => Some(Media::Protobuf),
            _ => None,
        }
    }

    /// What it asks for, if that is known.
    fn wanted(&self) -> Option<Wanted> {
        let media = self.media()?;
        let group_version = (self.parameter("g"), self.parameter("v"));
        let form = match self.parameter("as") {
            "" => Form::Object,
            // A Table has no message.
            "Table" if group_version == ("meta.k8s.io", "v1") && media != Media::Protobuf => {
                Form::Table(Include::Metadata)
            }
            "PartialObjectMetadata" if group_version == ("meta.k8s.io", "v1") => Form::Partial(Count::One),
            "PartialObjectMetadataList" if group_version == ("meta.k8s.io", "v1") => {
                Form::Partial(Count::Many)
            }
            _ => return None,
        };
        Some(Wanted { media, form, pretty: false })
    }
}

/// A weight as RFC 9110 writes it; nonsense counts as 1, as upstream's parser has it.
fn thousandths(text: &str) -> u16 {
    match text.parse::<f64>() {
        // In range, so nothing is cut off but digits that RFC 9110 does not have.
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0).round() as u16,
        _ => 1000,
    }
}
