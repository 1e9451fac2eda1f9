//! People who sign in: their roles, and what the routes of `/v1/people` and `/auth` take and answer.
//!
//! People read and manage themselves; documents are signed by keys, never by a session.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::desk::messages;
use crate::id::{Did, PasskeyId, PersonId};
use crate::party::Kind;
use crate::time::Timestamp;

/// What a person is for the participant, or the SRO person, it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Administers a training data provider.
    TdpAdmin,
    /// Administers a training data consumer.
    TdcAdmin,
    /// Prepares what a TDP's or TDC's key then signs.
    Signer,
    /// Operates clean rooms.
    CcrOperator,
    /// Works for the self-regulatory organisation.
    SroAdmin,
    /// Reads what the SRO or an auditor reads; each read of a private body is logged.
    SroAuditor,
}

impl Role {
    /// Whether people of such a participant may have this role.
    pub fn fits(self, kind: Kind) -> bool {
        match self {
            Role::TdpAdmin => kind == Kind::Tdp,
            Role::TdcAdmin => kind == Kind::Tdc,
            Role::Signer => matches!(kind, Kind::Tdp | Kind::Tdc),
            Role::CcrOperator => kind == Kind::Ccrp,
            Role::SroAdmin => kind == Kind::Sro,
            Role::SroAuditor => matches!(kind, Kind::Sro | Kind::Auditor),
        }
    }

    /// Whether the role manages the people of its own participant.
    pub fn administers(self) -> bool {
        matches!(self, Role::TdpAdmin | Role::TdcAdmin | Role::SroAdmin)
    }
}

messages! {
    /// Asks for a one-time enrolment link, by a participant's or SRO person's token.
    EnrolmentRequest {
        /// The name that the person goes by, at most 100 characters.
        display_name: String,
        /// Roles, at least one; they must fit the caller's kind.
        roles: Vec<Role>,
        /// A person that exists already, to give a further way to sign in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person_id: Option<PersonId>,
    }
    /// An enrolment link. It is shown this once.
    EnrolmentLink {
        /// Whom it is for.
        person_id: PersonId,
        /// The link; its secret stands behind `#`, which browsers do not send.
        url: String,
        /// Not usable from here on.
        expires_at: Timestamp,
    }
    /// The secret of an enrolment link or of a recovery.
    EnrolmentToken {
        /// What stands behind `#`.
        token: String,
    }
    /// A passkey ceremony: what the browser is given.
    Ceremony {
        /// Names the challenge when the ceremony ends; it counts once, within five minutes.
        challenge_id: String,
        /// For `navigator.credentials`, as WebAuthn Level 3 writes it in JSON.
        options: Value,
    }
    /// Ends an enrolment with a new passkey.
    Enrolment {
        /// The secret of the link.
        token: String,
        /// The ceremony.
        challenge_id: String,
        /// `RegistrationResponseJSON` of the browser.
        credential: Value,
        /// The name of the passkey for its holder, at most 100 characters.
        label: String,
    }
    /// Adds a passkey to the signed-in person.
    NewPasskey {
        /// The ceremony.
        challenge_id: String,
        /// `RegistrationResponseJSON` of the browser.
        credential: Value,
        /// The name of the passkey for its holder, at most 100 characters.
        label: String,
    }
    /// Ends a sign-in or step-up by a passkey.
    Assertion {
        /// The ceremony.
        challenge_id: String,
        /// `AuthenticationResponseJSON` of the browser.
        credential: Value,
    }
    /// A recovery code of a person who has no passkey at hand.
    RecoveryRequest {
        /// The code.
        code: String,
    }
    /// What a recovery code opened: a short-lived right to enrol one new passkey.
    RecoveryGrant {
        /// Used like the secret of an enrolment link.
        token: String,
        /// Not usable from here on.
        expires_at: Timestamp,
    }
    /// Recovery codes, shown this once; each counts once, and earlier ones no longer do.
    RecoveryCodes {
        /// Ten codes.
        codes: Vec<String>,
    }
    /// Who is signed in, and for how long.
    SessionView {
        /// The person.
        person_id: PersonId,
        /// The name.
        display_name: String,
        /// The participant or SRO person it belongs to.
        member: Did,
        /// Roles.
        roles: Vec<Role>,
        /// `passkey` or `oidc`.
        method: String,
        /// To be sent as `X-CSRF-Token` with every change.
        csrf_token: String,
        /// Ends then whatever happens; 30 minutes without a call end it earlier.
        expires_at: Timestamp,
        /// Until then, what needs a fresh passkey assertion goes without another one.
        stepped_up_until: Option<Timestamp>,
    }
    /// A person was enrolled and is signed in.
    Enrolled {
        /// The session.
        session: SessionView,
        /// Ten recovery codes for a new person, shown this once; empty for one who has some.
        recovery_codes: Vec<String>,
    }
    /// A passkey of the signed-in person.
    PasskeyView {
        /// The passkey.
        passkey_id: PasskeyId,
        /// Its name.
        label: String,
        /// When it was added.
        created_at: Timestamp,
        /// When it was last used.
        last_used_at: Option<Timestamp>,
    }
    /// The passkeys of the signed-in person.
    PasskeyList {
        /// The passkeys, oldest first.
        passkeys: Vec<PasskeyView>,
    }
    /// Begins a sign-in with the identity provider, or an enrolment of it.
    OidcStart {
        /// The secret of an enrolment link, to enrol; absent to sign in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    }
    /// Where the browser goes next.
    OidcRedirect {
        /// The identity provider's page.
        url: String,
    }
    /// A person as those who manage it see it.
    PersonView {
        /// The person.
        person_id: PersonId,
        /// The name.
        display_name: String,
        /// The participant or SRO person it belongs to.
        member: Did,
        /// Roles.
        roles: Vec<Role>,
        /// `active` or `suspended`.
        state: String,
    }
    /// The people of the caller's own participant; of the SRO, all people of the SRO.
    PersonList {
        /// The people, oldest first.
        people: Vec<PersonView>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_fit_their_own_kind_only() {
        let kinds = [Kind::Tdp, Kind::Tdc, Kind::Ccrp, Kind::Psp, Kind::Auditor, Kind::Sro];
        let fitting = |role: Role| kinds.iter().filter(|kind| role.fits(**kind)).count();
        assert_eq!((fitting(Role::Signer), fitting(Role::SroAuditor)), (2, 2));
        for role in [Role::TdpAdmin, Role::TdcAdmin, Role::CcrOperator, Role::SroAdmin] {
            assert_eq!(fitting(role), 1, "{role:?}");
        }
        assert!(!Role::SroAdmin.fits(Kind::Tdp) && !Role::TdpAdmin.fits(Kind::Tdc));
    }
}
