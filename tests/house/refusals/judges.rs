//! Those who judge a job, each alone: `depa job bundle`, the room, the front desk, and every key service.

use schemas::bundle::JobBundle;
use schemas::{Code, R};

use super::probe::Probe;
use super::scene::{Scene, refuses};

/// Every judge refuses this bundle with this code, and none relies on another: the room is asked although the
/// command line would refuse, the desk although the room would, and each key service under an Admission that a
/// contract service which was taken over has signed.
#[track_caller]
pub fn each_refuses(scene: &Scene, bundle: &JobBundle, code: Code) {
    let now = scene.clock.now();
    refuses(code, depa::job::estimate(bundle, None, &scene.house.trust, now));
    let (done, told) = scene.run(bundle, &scene.room());
    refuses(code, done);
    assert!(told.is_empty(), "the room went on to {told:?}");
    refuses(code, scene.desk().order_run(bundle));
    each_kms_refuses(scene, bundle, code);
}

/// Every key service refuses to reserve although the registry's key vouches for the run.
#[track_caller]
pub fn each_kms_refuses(scene: &Scene, bundle: &JobBundle, code: Code) {
    for kms in scene.house.tdps.iter().map(|t| &t.kms) {
        refuses(code, reserves(scene, bundle, kms));
    }
}

fn reserves(scene: &Scene, bundle: &JobBundle, kms: &str) -> R<()> {
    let mut probe = Probe::unseen(scene, bundle);
    probe.forges_admission();
    probe.reserve(kms).map(drop)
}
