//! What digest authentication costs: a challenge answered, as each INVITE on a trunk does, and an answer verified, as
//! each REGISTER of a phone does (`cargo bench --bench digest`).

use base::{Now, Rng};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sip_core::auth::{Algorithm, ClientAuth, Credentials, ServerAuth, ServerPolicy, Verdict, ha1};
use std::hint::black_box;

const URI: &str = "sip:+18325550100@trunk.example.com;transport=tls";

fn client() -> ClientAuth {
    let password = "A-long-Trunk-Passw0rd".into();
    ClientAuth::new(Some(Credentials { username: "trunk-user".to_owned(), password, realm: None }))
}

fn answer(c: &mut Criterion) {
    let mut group = c.benchmark_group("digest");
    for algorithm in ["MD5", "SHA-256"] {
        let challenge = format!(
            "Digest realm=\"sip.example.com\",qop=\"auth\",nonce=\"8e9a1f1c0b6d4d2f9d0f5a7e6b3c2d1a\",\
             opaque=\"0f5a7e6b\",algorithm={algorithm}"
        );
        let mut rng = Rng::from_u64(1);
        group.bench_function(format!("challenge answered, {algorithm}"), |b| {
            b.iter_batched_ref(
                client,
                |client| client.answer(407, [black_box(&challenge)], "INVITE", URI, b"", &mut rng),
                BatchSize::SmallInput,
            );
        });
    }
}

fn verify(c: &mut Criterion) {
    let mut group = c.benchmark_group("digest");
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let mut rng = Rng::from_u64(1);
        let policy = ServerPolicy { algorithms: vec![algorithm], ..ServerPolicy::new("voice.example.com") };
        let mut server = ServerAuth::new(policy, &mut rng);
        let stored = ha1(algorithm, "trunk-user", "voice.example.com", "A-long-Trunk-Passw0rd");
        let Verdict::Challenge { headers, .. } = server.challenge(false, Now::default()) else { return };
        let mut client = client();
        let first = client.answer(401, &headers, "REGISTER", URI, b"", &mut rng);
        assert!(first.is_ok());
        group.bench_function(format!("answer verified, {}", algorithm.as_str()), |b| {
            b.iter_batched(
                || client.authorize("REGISTER", URI, b"", &mut rng).remove(0).value,
                |value| {
                    let header = Some(black_box(value.as_bytes()));
                    let verdict =
                        server.verify(header, "REGISTER", URI, |_, _, _| Some(stored.clone()), Now::default());
                    assert!(matches!(verdict, Verdict::Accepted { .. }));
                },
                BatchSize::PerIteration,
            );
        });
    }
}

criterion_group!(benches, answer, verify);
criterion_main!(benches);
