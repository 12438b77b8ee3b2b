//! Completes ONNX files for the runtime, which wants attributes that the format lets be inferred.
//!
//! `Conv` without `kernel_shape` takes it from its weights by the specification, and `dilations`, `strides` and
//! `pads` then have defaults of that rank. rten 0.27 takes rank 0 there and refuses to run. The attribute is
//! written where it is missing; everything else stays byte for byte.

use std::collections::HashMap;

/// Field numbers of onnx.proto.
mod tag {
    pub const MODEL_GRAPH: u64 = 7;
    pub const GRAPH_NODE: u64 = 1;
    pub const GRAPH_INITIALIZER: u64 = 5;
    pub const TENSOR_DIMS: u64 = 1;
    pub const TENSOR_NAME: u64 = 8;
    pub const NODE_INPUT: u64 = 1;
    pub const NODE_OP_TYPE: u64 = 4;
    pub const NODE_ATTRIBUTE: u64 = 5;
    pub const ATTRIBUTE_NAME: u64 = 1;
    pub const ATTRIBUTE_INTS: u64 = 8;
    pub const ATTRIBUTE_TYPE: u64 = 20;
}

/// `AttributeProto.AttributeType.INTS`.
const TYPE_INTS: u64 = 7;

/// The model with every `kernel_shape` written out; `None` if it is no protocol buffer.
pub(crate) fn complete(model: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(model.len() + 4096);
    for field in fields(model) {
        let field = field?;
        match (field.number, field.bytes) {
            (tag::MODEL_GRAPH, Some(graph)) => {
                put_bytes(&mut out, field.number, &complete_graph(graph)?)
            }
            _ => out.extend(field.raw),
        }
    }
    Some(out)
}

fn complete_graph(graph: &[u8]) -> Option<Vec<u8>> {
    let all: Vec<Field> = fields(graph).collect::<Option<_>>()?;
    let initializers = all.iter().filter(|f| f.number == tag::GRAPH_INITIALIZER);
    let shapes: HashMap<&[u8], Vec<u64>> = initializers
        .map(|f| tensor_shape(f.bytes?))
        .collect::<Option<_>>()?;
    let mut out = Vec::with_capacity(graph.len() + 4096);
    for field in &all {
        let kernel = match (field.number, field.bytes) {
            (tag::GRAPH_NODE, Some(node)) => missing_kernel(node, &shapes)?.map(|k| (node, k)),
            _ => None,
        };
        match kernel {
            None => out.extend(field.raw),
            Some((node, kernel)) => {
                let mut node = node.to_vec();
                put_bytes(&mut node, tag::NODE_ATTRIBUTE, &kernel_shape(kernel));
                put_bytes(&mut out, tag::GRAPH_NODE, &node);
            }
        }
    }
    Some(out)
}

/// Name and dimensions of a tensor.
fn tensor_shape(tensor: &[u8]) -> Option<(&[u8], Vec<u64>)> {
    let (mut name, mut dims) = (&[][..], Vec::new());
    for field in fields(tensor) {
        let field = field?;
        match (field.number, field.bytes) {
            (tag::TENSOR_NAME, Some(bytes)) => name = bytes,
            (tag::TENSOR_DIMS, None) => dims.push(field.value),
            (tag::TENSOR_DIMS, Some(mut packed)) => {
                while !packed.is_empty() {
                    dims.push(varint(&mut packed)?);
                }
            }
            _ => {}
        }
    }
    Some((name, dims))
}

/// The kernel of a convolution that does not state it; the outer `None` is for bytes that make no sense.
#[allow(
    clippy::option_option,
    reason = "broken, and nothing to be done, differ"
)]
fn missing_kernel<'a>(
    node: &'a [u8],
    shapes: &'a HashMap<&'a [u8], Vec<u64>>,
) -> Option<Option<&'a [u64]>> {
    let (mut inputs, mut is_conv, mut stated) = (Vec::new(), false, false);
    for field in fields(node) {
        let field = field?;
        match (field.number, field.bytes) {
            (tag::NODE_INPUT, Some(name)) => inputs.push(name),
            (tag::NODE_OP_TYPE, Some(op)) => is_conv = op == b"Conv",
            (tag::NODE_ATTRIBUTE, Some(attribute)) => {
                for part in fields(attribute) {
                    let part = part?;
                    stated |=
                        part.number == tag::ATTRIBUTE_NAME && part.bytes == Some(b"kernel_shape");
                }
            }
            _ => {}
        }
    }
    let weights = inputs.get(1).and_then(|name| shapes.get(name));
    let kernel = weights.and_then(|dims| dims.get(2..));
    Some(kernel.filter(|_| is_conv && !stated))
}

fn kernel_shape(kernel: &[u64]) -> Vec<u8> {
    let mut attribute = Vec::new();
    put_bytes(&mut attribute, tag::ATTRIBUTE_NAME, b"kernel_shape");
    for &side in kernel {
        put_varint(&mut attribute, tag::ATTRIBUTE_INTS << 3);
        put_varint(&mut attribute, side);
    }
    put_varint(&mut attribute, tag::ATTRIBUTE_TYPE << 3);
    put_varint(&mut attribute, TYPE_INTS);
    attribute
}

/// One field of a message.
struct Field<'a> {
    number: u64,
    /// Of a number.
    value: u64,
    /// Of a string or message.
    bytes: Option<&'a [u8]>,
    /// All of it.
    raw: &'a [u8],
}

/// The fields of a message; a `None` ends it where it makes no sense.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = Option<Field<'_>>> {
    let mut broken = false;
    std::iter::from_fn(move || {
        if rest.is_empty() || broken {
            return None;
        }
        let field = field(&mut rest);
        broken = field.is_none();
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let start = *rest;
    let key = varint(rest)?;
    let (mut value, mut bytes) = (0, None);
    match key & 7 {
        0 => value = varint(rest)?,
        1 => *rest = rest.get(8..)?,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            bytes = Some(rest.get(..length)?);
            *rest = &rest[length..];
        }
        5 => *rest = rest.get(4..)?,
        _ => return None,
    }
    Some(Field {
        number: key >> 3,
        value,
        bytes,
        raw: &start[..start.len() - rest.len()],
    })
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(parts: &[(u64, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        parts.iter().for_each(|(n, b)| put_bytes(&mut out, *n, b));
        out
    }

    /// A graph of one node whose weights are 8 x 3 x 5 x 300.
    fn model(node: &[u8]) -> Vec<u8> {
        let mut weights = message(&[(tag::TENSOR_NAME, b"w")]);
        for side in [8, 3, 5, 300] {
            put_varint(&mut weights, tag::TENSOR_DIMS << 3);
            put_varint(&mut weights, side);
        }
        let graph = message(&[(tag::GRAPH_NODE, node), (tag::GRAPH_INITIALIZER, &weights)]);
        let mut model = vec![1 << 3, 8];
        put_bytes(&mut model, tag::MODEL_GRAPH, &graph);
        model
    }

    fn node(op: &[u8]) -> Vec<u8> {
        message(&[
            (tag::NODE_INPUT, b"x"),
            (tag::NODE_INPUT, b"w"),
            (tag::NODE_OP_TYPE, op),
        ])
    }

    #[test]
    fn a_missing_kernel_shape_comes_from_the_weights_once() {
        let mut whole = node(b"Conv");
        put_bytes(&mut whole, tag::NODE_ATTRIBUTE, &kernel_shape(&[5, 300]));
        let completed = complete(&model(&node(b"Conv"))).unwrap();
        assert_eq!(completed, model(&whole));
        assert_eq!(complete(&completed).unwrap(), completed);
    }

    #[test]
    fn everything_else_stays() {
        let other = model(&node(b"Gemm"));
        assert_eq!(complete(&other).unwrap(), other);
        assert_eq!(complete(b"").unwrap(), b"");
    }

    #[test]
    fn bytes_cut_off_anywhere_do_no_harm() {
        let whole = model(&node(b"Conv"));
        for cut in 3..whole.len() {
            assert!(complete(&whole[..cut]).is_none(), "{cut}");
        }
    }
}
