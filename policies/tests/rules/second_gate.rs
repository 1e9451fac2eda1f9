//! Tokens for a second gate.

use policies::second_gate::{RoomToken, room_token};
use schemas::{Code, Digest, Timestamp};

const MAA: &str = "https://maa.example";

fn token() -> RoomToken {
    RoomToken { issuer: MAA.into(), from: 1000, until: 2000, user_data: vec![7; 64], ak_sha256: Some(Digest([9; 32])) }
}

#[test]
fn only_a_token_about_this_very_room_passes() {
    let judge = |token: &RoomToken, at: i64| {
        room_token(token, MAA, &[7; 64], Some(&Digest([9; 32])), Timestamp::from_seconds(at)).map_err(|r| r.code)
    };
    assert_eq!(judge(&token(), 1500), Ok(()));
    assert_eq!(judge(&token(), 995), Ok(()), "clocks differ by a little");
    assert_eq!(judge(&token(), 994), Err(Code::MaaTokenExpired));
    assert_eq!(judge(&token(), 1999), Ok(()));
    assert_eq!(judge(&token(), 2000), Err(Code::MaaTokenExpired));
    let spoilt = |change: fn(&mut RoomToken)| {
        let mut token = token();
        change(&mut token);
        judge(&token, 1500)
    };
    assert_eq!(spoilt(|t| t.issuer = "https://maa.example.evil".into()), Err(Code::MaaTokenIssuer));
    assert_eq!(spoilt(|t| t.issuer = format!("{MAA}/")), Err(Code::MaaTokenIssuer));
    assert_eq!(spoilt(|t| t.user_data[63] = 0), Err(Code::MaaTokenMismatch), "another transcript");
    assert_eq!(spoilt(|t| t.user_data.truncate(48)), Err(Code::MaaTokenMismatch));
    assert_eq!(spoilt(|t| t.ak_sha256 = Some(Digest([8; 32]))), Err(Code::MaaTokenMismatch), "another machine");
    assert_eq!(spoilt(|t| t.ak_sha256 = None), Err(Code::MaaTokenMismatch));
    // Evidence without an attestation key (a bare guest) fits no token: two absent keys are not the same machine.
    let bare = RoomToken { ak_sha256: None, ..token() };
    let judged = room_token(&bare, MAA, &[7; 64], None, Timestamp::from_seconds(1500));
    assert_eq!(judged.unwrap_err().code, Code::MaaTokenMismatch);
}
