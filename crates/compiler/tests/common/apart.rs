//! Networks whose skip connections are convolved apart from what they are joined with.

use diffuser_model::graph::{Graph, Node, Op, TensorId, TensorInfo, TensorKind};

/// A graph in which the first norm and convolution of each block over a concatenation are two, one for each stream, where
/// they have at least so many pixels and no group has channels of both; the skip's come first, shortcuts too, and the
/// other's add their results.
pub fn apart(graph: &Graph, least: usize) -> Graph {
    let mut new = Graph {
        nodes: vec![],
        ..graph.clone()
    };
    let mut i = 0;
    while i < graph.nodes.len() {
        let node = &graph.nodes[i];
        if let Some(conv) = joined(graph, node, least) {
            let [norms, convs] = split(&mut new, node, &graph.nodes[conv]);
            let [[norm_hidden, norm_skip], [hidden, skip]] = [norms, convs];
            new.nodes.extend([norm_skip, skip, norm_hidden]);
            new.nodes.extend_from_slice(&graph.nodes[i + 1..conv]);
            new.nodes.push(hidden);
            i = conv + 1;
        } else if let Some(parts) = graph
            .nodes
            .get(i..i + 4)
            .and_then(|four| shortcut(graph, four, least))
        {
            new.nodes.extend(parts);
            i += 4;
        } else {
            new.nodes.push(node.clone());
            i += 1;
        }
    }
    new
}

fn large(graph: &Graph, tensor: TensorId, least: usize) -> bool {
    let t = &graph.tensors[tensor];
    t.height * t.width >= least
}

/// The convolution behind a norm that can be split.
fn joined(graph: &Graph, node: &Node, least: usize) -> Option<usize> {
    let (Op::Norm(norm), [hidden, skip]) = (&node.op, &node.inputs[..]) else {
        return None;
    };
    let [a, b] = [hidden, skip].map(|&t| graph.tensors[t].channels);
    let whole = a % ((a + b) / norm.groups) == 0;
    let reader = graph.readers(node.output).next()?;
    (whole && large(graph, node.output, least)).then_some(reader)
}

/// Norms and convolutions of the hidden stream and of the skip.
fn split(new: &mut Graph, norm: &Node, conv: &Node) -> [[Node; 2]; 2] {
    let (Op::Norm(n), Op::Conv(c)) = (&norm.op, &conv.op) else {
        unreachable!("a norm and its convolution");
    };
    let channels = [0, 1].map(|i| new.tensors[norm.inputs[i]].channels);
    let per_group = (channels[0] + channels[1]) / n.groups;
    let mut add = |name: &str, kind: TensorKind, channels: usize, like: TensorId| {
        new.tensors.push(TensorInfo {
            name: format!("{name}.skip"),
            kind,
            channels,
            ..new.tensors[like].clone()
        });
        new.tensors.len() - 1
    };
    let operand = add(&norm.name, TensorKind::Operand, channels[1], norm.output);
    let part = add(
        &conv.name,
        TensorKind::Stream,
        c.output_channels,
        conv.output,
    );
    new.tensors[norm.output].channels = channels[0];
    let operands = [norm.output, operand];
    let norms = [0, 1].map(|i| Node {
        name: format!("{}.{}", norm.name, ["hidden", "skip"][i]),
        op: Op::Norm(diffuser_model::graph::Norm {
            groups: channels[i] / per_group,
            ..n.clone()
        }),
        inputs: vec![norm.inputs[i]],
        output: operands[i],
    });
    let mut skip = c.clone();
    (skip.input_channels, skip.bias, skip.projection) =
        (channels[0]..channels[0] + channels[1], None, None);
    let mut hidden = c.clone();
    (hidden.input_channels, hidden.residual) = (0..channels[0], Some(part));
    let node = |name: &str, conv, input, output| Node {
        name: format!("{}.{name}", conv_name(&norm.name)),
        op: Op::Conv(conv),
        inputs: vec![input],
        output,
    };
    let convs = [
        node("hidden", hidden, operands[0], conv.output),
        node("skip", skip, operands[1], part),
    ];
    [norms, convs]
}

fn conv_name(norm: &str) -> String {
    norm.replace("norm1", "conv1")
}

/// The four nodes of a shortcut over a concatenation, those of the skip first.
fn shortcut(graph: &Graph, four: &[Node], least: usize) -> Option<Vec<Node>> {
    let [read_hidden, hidden, read_skip, skip] = four else {
        return None;
    };
    let (Op::Conv(a), Op::Conv(b)) = (&hidden.op, &skip.op) else {
        return None;
    };
    if b.residual != Some(hidden.output) || !large(graph, skip.output, least) {
        return None;
    }
    let (mut first, mut second) = (skip.clone(), hidden.clone());
    (first.output, second.output) = (hidden.output, skip.output);
    let (mut of_skip, mut of_hidden) = (b.clone(), a.clone());
    (of_skip.bias, of_skip.residual) = (None, None);
    (of_hidden.bias, of_hidden.residual) = (b.bias.clone(), Some(first.output));
    (first.op, second.op) = (Op::Conv(of_skip), Op::Conv(of_hidden));
    Some(vec![read_skip.clone(), first, read_hidden.clone(), second])
}
