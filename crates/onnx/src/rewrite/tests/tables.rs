//! Tables that rows are looked up in.

use super::*;

#[test]
fn tables_are_looked_up_in_int8_with_a_scale_for_each_row() {
    let rows =
        |scale: f32| (0..16384_u16).map(move |at| f32::from(at % 64) * scale * f32::from(at / 64 + 1)).collect::<Vec<f32>>();
    let nodes = || vec![node("Gather", &["w", "x"], "a"), node("Gather", &["v", "x"], "b"), node("Add", &["a", "b"], "y")];
    let tensors = || vec![floats("w", &[256, 64], &rows(0.5)), floats("v", &[2, 64], &[1.0; 128])];
    for step in [Step::Int8, Step::Dynamic] {
        let (graph, changed) = after(model(nodes(), tensors()), step);
        assert_eq!(changed, 1, "a small table stays");
        let wanted = [
            "Gather(w_int8,x)->a_codes",
            "Gather(w_scale,x)->a_scales",
            "Cast(a_codes)->a_plain",
            "Mul(a_plain,a_scales)->a",
            "Gather(v,x)->b",
            "Add(a,b)->y",
        ];
        assert_eq!(wired(&graph), wanted);
        let by_name: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|one| (one.name(), one)).collect();
        let (codes, scales) = (by_name["w_int8"].raw_data(), by_name["w_scale"]);
        assert_eq!((&*scales.dims, codes.len()), (&[256, 1][..], 16384));
        for (at, value) in rows(0.5).iter().enumerate() {
            let scale = scales.floats().unwrap()[at / 64];
            assert!((f32::from(codes[at].cast_signed()) * scale - value).abs() <= scale * 0.5001);
        }
    }
    let (graph, changed) = after(model(nodes(), tensors()), Step::Half);
    assert_eq!((changed, &wired(&graph)[..2]), (1, &["Gather(w_f16,x)->a_codes".to_owned(), "Cast(a_codes)->a".to_owned()][..]));
    let tied = [nodes(), vec![node("MatMul", &["y", "w"], "z")]].concat();
    let (graph, _) = after(model(tied, tensors()), Step::Half);
    assert!(
        graph.initializer.iter().any(|one| one.name() == "w_f16") && wired(&graph).contains(&"Gather(w,x)->a".to_owned()),
        "{:?}",
        wired(&graph)
    );
}
