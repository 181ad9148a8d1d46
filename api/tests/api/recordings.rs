//! Recordings: projected from their calls' facts, listed, heard, deleted, swept. On SQLite and on PostgreSQL.

use crate::records;
use crate::support::{Answer, Board, KEY, call_with, databases, execute, number};
use api::{Recordings, Scope, Store, create_key};
use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use switch::{CallSid, Fact};

fn sid(n: u8) -> String {
    format!("RE{n:032x}")
}

impl Board {
    /// A call of which these recordings were made, each with its octets on disk; `None`: it is still being made.
    pub async fn recorded(&self, made: &[(u8, Option<u64>)]) -> CallSid {
        let call = self.call().await;
        let mut facts = vec![records::answered(0, 0, 1_764_000_002_000)];
        for (n, octets) in made {
            let at = 1_764_000_003_000 + u64::from(*n);
            facts.push(records::record(0, 0, at, Fact::Recording { recording: sid(*n), channels: 1, owes: None }));
            if let Some(octets) = *octets {
                let over = Fact::Recorded {
                    recording: sid(*n),
                    duration_ms: 5_000,
                    octets,
                    channels: 1,
                    reason: "hangup".into(),
                };
                facts.push(records::record(0, 0, at + 5_000, over));
                let dir = self.dir.path().join("recordings");
                std::fs::create_dir_all(&dir).unwrap();
                let bytes: Vec<u8> = (0..octets).map(|n| n as u8).collect();
                std::fs::write(dir.join(format!("{}.wav", sid(*n))), bytes).unwrap();
            }
        }
        self.happens(call, facts);
        call
    }

    async fn part(&self, path: &str, range: &str) -> axum::http::Response<Body> {
        use tower::ServiceExt;
        let request = Request::get(path).header("authorization", format!("Bearer {KEY}")).header("range", range);
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn remove(&self, key: &str, path: &str) -> Answer {
        self.send(Request::delete(path).header("authorization", format!("Bearer {key}")).body(Body::empty()).unwrap())
            .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_are_listed_by_call_and_page_and_each_is_heard_in_ranges() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let first = board.recorded(&[(1, Some(100)), (2, None), (3, Some(100))]).await;
        let second = board.recorded(&[(4, Some(100))]).await;
        board.settle().await;
        assert_eq!(board.get("/v1/recordings").await.sids(), [sid(4), sid(3), sid(2), sid(1)]);
        assert_eq!(board.get(&format!("/v1/recordings?call={second}")).await.sids(), [sid(4)]);
        let page = board.get(&format!("/v1/recordings?call={first}&limit=2")).await;
        assert_eq!(page.sids(), [sid(3), sid(2)]);
        let cursor = page.json()["next_cursor"].as_str().unwrap().to_owned();
        let rest = board.get(&format!("/v1/recordings?call={first}&limit=2&cursor={cursor}")).await;
        assert_eq!((rest.sids(), rest.json()["next_cursor"].is_null()), (vec![sid(1)], true));
        let one = board.get(&format!("/v1/recordings/{}", sid(1))).await.json();
        assert_eq!((one["status"].as_str(), one["duration_ms"].as_u64()), (Some("completed"), Some(5_000)));
        assert_eq!((one["call_sid"].clone(), one["reason"].as_str()), (first.to_string().into(), Some("hangup")));
        let part = board.part(&format!("/v1/recordings/{}.wav", sid(1)), "bytes=10-19").await;
        assert_eq!(part.status(), 206);
        assert_eq!(part.headers()["content-range"], "bytes 10-19/100");
        assert_eq!(part.headers()["content-type"], "audio/wav");
        let bytes = axum::body::to_bytes(part.into_body(), 1_000).await.unwrap();
        assert_eq!(bytes.as_ref(), (10..20).collect::<Vec<u8>>());
        // RFC 9110 §14.1.2: a last position beyond the end means the end, however great it is, and so does a suffix; a
        // first position beyond it is no range of this file (§15.5.17).
        let huge = "9".repeat(40);
        for (asked, status, range) in [
            ("bytes=200-".to_owned(), 416, Some("bytes */100")),
            (format!("bytes={huge}-"), 416, Some("bytes */100")),
            (format!("bytes={huge}-{huge}"), 416, Some("bytes */100")),
            (format!("bytes=90-{huge}"), 206, Some("bytes 90-99/100")),
            (format!("bytes=-{huge}"), 206, Some("bytes 0-99/100")),
            ("lines=1-2".to_owned(), 200, None),
            ("bytes=0-1,5-6".to_owned(), 200, None),
        ] {
            let answer = board.part(&format!("/v1/recordings/{}.wav", sid(1)), &asked).await;
            let said = answer.headers().get("content-range").map(|value| value.to_str().unwrap());
            assert_eq!((answer.status().as_u16(), said), (status, range), "{asked}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_or_anothers_is_not_found_and_no_path_leads_out() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        board.recorded(&[(1, Some(100)), (2, None), (3, Some(0))]).await;
        board.settle().await;
        let other = create_key(&Store::open(&url).await.unwrap(), "other", &[Scope::Admin], 1).await.unwrap();
        let path = format!("/v1/recordings/{}", sid(1));
        board.get_as(&other, &path).await.is_problem(404, "recording_not_found");
        board.get_as(&other, &format!("{path}.wav")).await.is_problem(404, "recording_not_found");
        board.remove(&other, &path).await.is_problem(404, "recording_not_found");
        assert!(board.get_as(&other, "/v1/recordings").await.sids().is_empty());
        board.get(&format!("/v1/recordings/{}.wav", sid(2))).await.is_problem(409, "recording_in_progress");
        board.get(&format!("/v1/recordings/{}.wav", sid(3))).await.is_problem(410, "recording_absent");
        board.get(&format!("{path}.ogg")).await.is_problem(404, "no_such_format");
        for path in ["..%2f..%2ftest.db", "..%2Ftest.wav", "RE1.wav", "%2fetc%2fpasswd.wav", "RE.wav", "%00.wav"] {
            board.get(&format!("/v1/recordings/{path}")).await.is_problem(404, "recording_not_found");
        }
        board.get("/v1/recordings?call=x").await.is_problem(400, "invalid_parameter");
        board.get("/v1/recordings?cursor=x").await.is_problem(400, "invalid_cursor");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_recording_is_gone_with_its_file_and_the_journal_does_not_bring_it_back() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        board.recorded(&[(1, Some(100)), (2, None)]).await;
        board.settle().await;
        let (path, file) = (format!("/v1/recordings/{}", sid(1)), format!("recordings/{}.wav", sid(1)));
        board.remove(KEY, &format!("/v1/recordings/{}", sid(2))).await.is_problem(409, "recording_in_progress");
        assert!(board.dir.path().join(&file).exists());
        assert_eq!(board.remove(KEY, &path).await.status, 204);
        assert!(!board.dir.path().join(&file).exists());
        board.remove(KEY, &path).await.is_problem(404, "recording_not_found");
        board.settle().await;
        execute(&url, "UPDATE projection SET segment = 0, segment_offset = 0").await;
        let board = board.again().await;
        board.settle().await;
        board.get(&path).await.is_problem(404, "recording_not_found");
        assert_eq!(board.get("/v1/recordings").await.sids(), [sid(2)]);
        assert_eq!(number(&url, "SELECT count(*) FROM recordings").await, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_it_is_kept_goes_with_its_row_and_nothing_else() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        board.recorded(&[(1, Some(100)), (2, Some(100)), (3, None)]).await;
        board.settle().await;
        let store = Store::open(&url).await.unwrap();
        let folder = board.dir.path().join("recordings");
        std::fs::write(folder.join("notes.wav"), b"not ours").unwrap();
        let recordings = Recordings::new(folder.clone(), 30);
        let days = |days: u64| 1_764_000_003_001 + days * 24 * 3_600 * 1_000;
        assert_eq!(recordings.sweep(&store, days(30)).await.unwrap(), 0);
        // One millisecond later the first is too old, and the others are not.
        assert_eq!(recordings.sweep(&store, days(30) + 1).await.unwrap(), 1);
        assert_eq!(board.get("/v1/recordings").await.sids(), [sid(3), sid(2)]);
        assert_eq!(recordings.sweep(&store, days(31)).await.unwrap(), 2);
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["notes.wav"]);
        // A file that has no row.
        let stray = folder.join(format!("{}.wav", sid(9)));
        std::fs::write(&stray, b"x").unwrap();
        assert_eq!(recordings.sweep(&store, days(31)).await.unwrap(), 0);
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(31 * 24 * 3_600);
        std::fs::File::options().write(true).open(&stray).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(recordings.sweep(&store, days(31)).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_recording_is_had_as_mp3_and_sounds_the_same() {
    let board = Board::new().await;
    board.recorded(&[(1, Some(100)), (2, Some(0))]).await;
    board.settle().await;
    // Two seconds of a tone that grows, at 16 kHz, as a member of a conference is recorded.
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let file = board.dir.path().join("recordings").join(format!("{}.wav", sid(1)));
    let mut wav = hound::WavWriter::create(file, spec).unwrap();
    let tone = |n: u32| (f64::from(n) / 4.0 * (f64::from(n) * 0.1).sin()) as i16;
    (0..32_000).for_each(|n| wav.write_sample(tone(n)).unwrap());
    wav.finalize().unwrap();
    let mp3 = board.part(&format!("/v1/recordings/{}.mp3", sid(1)), "bytes=0-9").await;
    assert_eq!((mp3.status().as_u16(), mp3.headers()["content-type"].to_str().unwrap()), (200, "audio/mpeg"));
    let bytes = axum::body::to_bytes(mp3.into_body(), 1 << 20).await.unwrap();
    let heard = media::prompt::decode("recording", &bytes, "mp3").unwrap();
    assert!((2_000..2_200).contains(&heard.duration_ms()), "{} ms", heard.duration_ms());
    let loudest = |from: usize| heard.samples()[from..from + 800].iter().map(|s| s.unsigned_abs()).max().unwrap();
    // It grows from nothing to 8,000, however late the encoder begins.
    assert!(loudest(1_000) < 2_000 && (3_000..5_000).contains(&loudest(8_000)) && loudest(14_400) > 6_500);
    board.get(&format!("/v1/recordings/{}.mp3", sid(2))).await.is_problem(410, "recording_absent");
    board.get(&format!("/v1/recordings/{}.ogg", sid(1))).await.is_problem(404, "no_such_format");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_being_recorded_when_the_process_died_is_closed_as_its_file_stands_and_told_of() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let told = json!({ "status_callback": "https://a.example/", "status_callback_events": ["call.recorded"] });
        let call = board.post("/v1/calls", call_with(told)).await.sid();
        let began = |n: u8| Fact::Recording { recording: sid(n), channels: 1, owes: None };
        let at = 1_764_000_003_000;
        let facts =
            [records::answered(0, 0, at), records::record(0, 0, at, began(1)), records::record(0, 0, at, began(2))];
        board.happens(call, facts.to_vec());
        // A second, of which the last block came after the header was made true; the second has no file at all.
        let folder = board.dir.path().join("recordings");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{}.wav", sid(1)));
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(&file, spec).unwrap();
        (0..6_000_i16).for_each(|n| wav.write_sample(n).unwrap());
        wav.finalize().unwrap();
        let mut file = std::fs::File::options().append(true).open(&file).unwrap();
        std::io::Write::write_all(&mut file, &[1; 4_001]).unwrap();

        // The journal of a process that was killed has no end of the call.
        let board = board.again().await;
        assert_eq!((board.recovered.interrupted.clone(), board.recovered.recordings), (vec![call], 2));
        board.settle().await;
        let one = board.get(&format!("/v1/recordings/{}", sid(1))).await.json();
        assert_eq!((one["status"].as_str(), one["reason"].as_str()), (Some("completed"), Some("interrupted")));
        assert_eq!((one["duration_ms"].as_u64(), one["octets"].as_u64()), (Some(1_000), Some(44 + 16_000)));
        let sound = board.part(&format!("/v1/recordings/{}.wav", sid(1)), "bytes=0-").await;
        assert_eq!(sound.status(), 206);
        let bytes = axum::body::to_bytes(sound.into_body(), 1 << 20).await.unwrap();
        assert_eq!(hound::WavReader::new(bytes.as_ref()).unwrap().duration(), 8_000);
        board.get(&format!("/v1/recordings/{}.wav", sid(2))).await.is_problem(410, "recording_absent");
        let kinds = board.get(&format!("/v1/calls/{call}/events")).await.json();
        let kinds: Vec<&str> = kinds["items"].as_array().unwrap().iter().filter_map(|e| e["type"].as_str()).collect();
        assert_eq!(kinds[kinds.len() - 3..], ["recorded", "recorded", "ended"]);
        let told = board.get("/v1/webhooks").await.json();
        let told: Vec<_> = told["items"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect();
        assert_eq!(told, ["call.recorded", "call.recorded"]);
        assert_eq!(board.remove(KEY, &format!("/v1/recordings/{}", sid(1))).await.status, 204);
        let board = board.again().await;
        assert_eq!((board.recovered.interrupted.clone(), board.recovered.recordings), (vec![], 0), "once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_was_left_open_by_a_call_that_has_ended_is_closed_where_its_file_is() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let call = board.call().await;
        let at = 1_764_000_003_000;
        let began = |n: u8| records::record(0, 0, at, Fact::Recording { recording: sid(n), channels: 1, owes: None });
        board.happens(call, vec![records::answered(0, 0, at), began(1), began(2), records::ended(0, 0, at + 9_000)]);
        board.settle().await;
        let folder = board.dir.path().join("recordings");
        std::fs::create_dir_all(&folder).unwrap();
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(folder.join(format!("{}.wav", sid(1))), spec).unwrap();
        (0..8_000_i16).for_each(|n| wav.write_sample(n).unwrap());
        wav.finalize().unwrap();
        let board = board.again().await;
        assert_eq!((board.recovered.interrupted.clone(), board.recovered.recordings), (vec![], 1));
        board.settle().await;
        let of = async |n: u8| board.get(&format!("/v1/recordings/{}", sid(n))).await.json()["status"].clone();
        assert_eq!((of(1).await, of(2).await), ("completed".into(), "in-progress".into()));
        // The call is over once: its row is as it was, and what came later is among its events.
        assert_eq!(board.get(&format!("/v1/calls/{call}")).await.json()["status"], "completed");
        let events = board.get(&format!("/v1/calls/{call}/events")).await.json();
        assert_eq!(events["items"].as_array().unwrap().last().unwrap()["type"], "recorded");
        assert_eq!(board.again().await.recovered.recordings, 0, "once");
    }
}
