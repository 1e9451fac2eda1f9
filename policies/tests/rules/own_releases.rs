//! What a provider lets out by itself: whose act it is, what it costs, and where that must fit.

use policies::budget::{spent, vector};
use policies::own_release::{Ledger, MAX_MECHANISMS, charge, cost, fits};
use policies::weights::Keeper;
use policies::{Code, R};
use schemas::dataset::DatasetOffer;
use schemas::digest::Digest;
use schemas::envelope::Envelope;
use schemas::id::KeyId;
use schemas::own_release::{OwnRelease, ReleasedKind};
use schemas::privacy::{DatasetCharge, Mechanism};
use schemas::time::Timestamp;

use crate::fixtures::{House, REGISTRY, Row, clause, did, expect, jwk, plan, real, signed};

const KMS: &str = "https://kms0.example";

fn now() -> Timestamp {
    Timestamp::parse("2026-12-02T10:00:00Z").unwrap()
}

fn noise(multiplier: &str) -> Vec<Mechanism> {
    vec![Mechanism::Gaussian { noise_multiplier: real(multiplier) }]
}

/// Everything that may be spoilt.
struct Case {
    release: OwnRelease,
    offer: DatasetOffer,
    /// Who signed each.
    signers: [Vec<String>; 2],
    pinned: KeyId,
    url: &'static str,
    sign: u8,
}

fn case() -> Case {
    let offer = House::new().offers.remove(0);
    let provider = offer.provider.to_string();
    let release = OwnRelease {
        schema: "own-release.v1".into(),
        registry: did(REGISTRY),
        kms: KMS.into(),
        provider: offer.provider.clone(),
        kind: ReleasedKind::Profile,
        file_sha256: Digest([5; 32]),
        offer_sha256: Envelope::draft(&offer).unwrap().digest(),
        charge: charge(&offer, noise("10")).unwrap(),
        at: now(),
    };
    let pinned = KeyId::new(&provider, jwk(1).thumbprint());
    Case { release, offer, signers: [vec![provider.clone()], vec![provider]], pinned, url: KMS, sign: 1 }
}

fn judge(case: &Case) -> R<()> {
    let [first, second] = case.signers.each_ref().map(|all| all.iter().map(String::as_str).collect::<Vec<_>>());
    let (release, offer) = (signed(&case.release, &first), signed(&case.offer, &second));
    let (provider, sign) = (did(&case.pinned.holder), jwk(case.sign));
    let keeper = Keeper { url: case.url, provider: &provider, pinned: &case.pinned, sign_jwk: &sign };
    let cost = cost(&release, &offer, &keeper, now())?;
    assert_eq!(cost, vector(&case.release.charge.mechanisms).unwrap());
    Ok(())
}

#[test]
fn a_provider_charges_what_it_lets_out_at_its_own_key_service() {
    assert_eq!(judge(&case()), Ok(()));
    let rows: [Row<Case>; 17] = [
        (Code::SignerUnknown, |c| c.pinned = KeyId::new(&c.pinned.holder, jwk(2).thumbprint())),
        (Code::SignerUnknown, |c| c.signers[0] = vec!["did:web:tdc.example".into()]),
        (Code::SignerUnknown, |c| c.signers[0].push("did:web:tdc.example".into())),
        (Code::SignerUnknown, |c| c.signers[1] = vec!["did:web:tdc.example".into()]),
        (Code::SignatureContext, |c| c.release.kms = "https://kms1.example".into()),
        (Code::SignatureContext, |c| c.release.provider = did("did:web:tdc.example")),
        (Code::TermsNotOffer, |c| c.release.offer_sha256 = Digest([6; 32])),
        (Code::TermsNotOffer, |c| c.offer.privacy_cap.epsilon = real("9")),
        (Code::TermsNotOffer, |c| c.sign = 2),
        (Code::TermsNotOffer, |c| c.release.charge.family = House::new().offers[1].family.clone()),
        (Code::TermsNotOffer, |c| c.release.charge.dataset_id = House::new().offers[1].dataset_id.clone()),
        (Code::TermsNotOffer, |c| c.release.charge.epsilon_micro -= 1),
        (Code::TermsNotOffer, |c| c.release.charge.delta = real("0.00001")),
        (Code::TermsNotOffer, |c| c.release.charge.level = 0),
        (Code::LimitExceeded, |c| c.release.charge.mechanisms.clear()),
        (Code::LimitExceeded, |c| {
            c.release.charge.mechanisms = noise("10").into_iter().cycle().take(MAX_MECHANISMS + 1).collect()
        }),
        (Code::SchemaMismatch, |c| c.release.at = now().plus_seconds(3600)),
    ];
    for (at, (code, spoil)) in rows.iter().enumerate() {
        let mut case = case();
        spoil(&mut case);
        expect(judge(&case), *code, &format!("row {at}"));
    }
    // What the key service knows of itself.
    expect(judge(&Case { url: "https://kms1.example", ..case() }), Code::SignatureContext, "another service");
    // An old act is as good as a new one: a file is charged once, and nothing is opened by it.
    let mut old = case();
    old.release.at = now().plus_seconds(-86_400 * 365);
    assert_eq!(judge(&old), Ok(()));
}

#[test]
fn the_charge_is_the_offers_and_counts_whole() {
    let mut offer = case().offer;
    let made = charge(&offer, noise("10")).unwrap();
    assert_eq!((made.factor, made.level, &made.delta), (1, 1, &offer.privacy_cap.delta));
    assert_eq!((&made.family, &made.dataset_id, made.version), (&offer.family, &offer.dataset_id, 1));
    assert!((330_000..350_000).contains(&made.epsilon_micro), "{}", made.epsilon_micro);
    offer.privacy_cap.level = 0;
    assert_eq!(charge(&offer, noise("10")).unwrap().level, 0);
    expect(charge(&offer, noise("0")), Code::EpsilonOutOfRange, "no noise");
}

fn ledger(epsilon: &str, charges: &[DatasetCharge]) -> Ledger {
    let spent = spent(charges).unwrap();
    Ledger { whose: "did:web:tdc.example".into(), spent, cap: clause(epsilon, "0.0000472") }
}

#[test]
fn it_fits_into_every_ledger_or_into_none() {
    let cost = vector(&noise("10")).unwrap();
    let run = plan().charges.remove(0);
    let (empty, used) = (ledger("1.0", &[]), ledger("1.0", std::slice::from_ref(&run)));
    assert_eq!(fits(&cost, &[]), Ok(()));
    assert_eq!(fits(&cost, &[empty.clone(), ledger("3.0", std::slice::from_ref(&run))]), Ok(()));
    let full = fits(&cost, &[empty.clone(), used.clone()]).unwrap_err();
    assert_eq!(full.code, Code::BudgetExceeded);
    assert!(full.sentence.contains("the family's cap for did:web:tdc.example 1.0"), "{full}");
    expect(fits(&cost, &[used.clone(), empty]), Code::BudgetExceeded, "in whatever order");
    // Several files add up as runs do.
    let files = vec![charge(&case().offer, noise("10")).unwrap(); 6];
    expect(fits(&cost, &[ledger("0.9", &files)]), Code::BudgetExceeded, "the seventh file");
    assert_eq!(fits(&cost, &[ledger("0.9", &files[..2])]), Ok(()));
    // What law alone bounds is entered, and refused by no sum.
    let mut lawful = used;
    lawful.cap.level = 0;
    assert_eq!(fits(&cost, &[lawful]), Ok(()));
}
