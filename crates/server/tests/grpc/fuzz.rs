//! Mutated requests.

use std::collections::BTreeMap;

use modelyard_wire::proto::inference::ModelInferRequest;
use prost::Message;

use crate::house::{INFER, PREDICT, framed, int, predict, raw, request, send, service, typed};

/// Bytes changed at random never make the server's own fault of a client's.
#[tokio::test]
async fn mutated_requests_are_the_clients_fault() {
    let service = service();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |bound: usize| {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % bound.max(1) as u64) as usize
    };
    let words = ModelInferRequest { parameters: BTreeMap::from([("timeout".into(), int(9))]), ..typed() };
    let seeds = [
        (INFER, framed(0, &raw().encode_to_vec())),
        (INFER, framed(0, &words.encode_to_vec())),
        (PREDICT, framed(0, &predict().encode_to_vec())),
        ("/inference.GRPCInferenceService/ModelStreamInfer", framed(0, &raw().encode_to_vec())),
        ("/inference.GRPCInferenceService/RepositoryModelLoad", framed(0, b"\x12\x01m\x1a\x07\x0a\x01a\x12\x02\x08\x01")),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", framed(0, b"\x22\x10inference.Server\x3a\x00")),
    ];
    for round in 0..6000 {
        let (path, seed) = &seeds[round % seeds.len()];
        let mut body = seed.to_vec();
        for _ in 0..=next(4) {
            match next(4) {
                0 => body.truncate(next(body.len() + 1)),
                1 => body.insert(next(body.len() + 1), next(256) as u8),
                _ if body.is_empty() => body.push(0),
                _ => {
                    let at = next(body.len());
                    body[at] = next(256) as u8;
                }
            }
        }
        // Half of the mutants keep a true prefix, so that they reach the decoder.
        if next(2) == 0 && body.len() > 5 {
            body = framed(0, &body[5..]).to_vec();
        }
        let found = send(&service, request(path, body.clone().into())).await;
        assert!(matches!(found.status, 0 | 3 | 4 | 5 | 7 | 8 | 12), "{path} {body:?} {found:?}");
    }
}
