//! Fields that name a file.

use super::{decode::Field, leaf::FilePath, report::Report};
use crate::model::{FileKind, NamedFile};

/// The file that the field names: `Some(None)` where the field is not written.
pub fn named_file(field: &Field<FilePath>, kind: FileKind, report: &Report) -> Option<Option<NamedFile>> {
    field.resolve(|path| {
        let (origin, width) = (report.origin(path.span), path.span.width);
        Some(NamedFile { path: path.value.0.clone(), kind, origin, width })
    })
}
