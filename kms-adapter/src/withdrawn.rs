//! Image sets that this service has heard were revoked. An Admission of up to a minute ago may still speak of one; a
//! service that was shown the status list since believes the list. An image set never comes back, so nothing is ever
//! forgotten here.

use diesel::prelude::*;
use schemas::id::ImageSetId;

use crate::store::{Db, Tx};
use crate::tables::service_state;

/// The start of the names of the rows.
const ROW: &str = "image_set_revoked ";

/// Keeps what a status list says of image sets; the caller has verified it.
pub(crate) fn hear(c: &mut Db, revoked: &[ImageSetId]) -> Tx<()> {
    for id in revoked {
        let name = format!("{ROW}{id}");
        let known = service_state::table.find(&name).select(service_state::name).first::<String>(c).optional()?;
        if known.is_none() {
            tracing::warn!(image_set_id = id.as_str(), "an image set was revoked");
            let row = (service_state::name.eq(&name), service_state::value.eq(""));
            diesel::insert_into(service_state::table).values(row).execute(c)?;
        }
    }
    Ok(())
}

/// Refuses an image set that was heard to be revoked (`IMAGE_SET_REVOKED`).
pub(crate) fn refuse(c: &mut Db, id: &ImageSetId) -> Tx<()> {
    let name = format!("{ROW}{id}");
    let known = service_state::table.find(&name).select(service_state::name).first::<String>(c).optional()?;
    Ok(policies::release::image_set_stands(known.map(|_| id).into_iter(), id)?)
}
