//! What can be wrong with a network, a step or a call.

use crate::choice::KernelChoice;

/// Why an engine cannot be made or a step not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The chosen kernels need instructions that this machine lacks.
    #[error("kernel {0} is not available on this machine")]
    Unavailable(KernelChoice),
    /// The graph as a whole does not hold together.
    #[error("graph: {0}")]
    Graph(String),
    /// A node does not fit its tensors, its parameters do not fit it, or its step does not.
    #[error("{node}: {what}")]
    Node {
        /// Name of the node.
        node: String,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// A number of nodes differs from the graph's.
    #[error("{what} for {got} nodes, but the graph has {want}")]
    NodeCount {
        /// What was given.
        what: &'static str,
        /// Number of entries.
        got: usize,
        /// Number of nodes.
        want: usize,
    },
    /// The state has not the shape of the network's input.
    #[error("the state has {got} values, but the network takes {want}")]
    State {
        /// Number of values given.
        got: usize,
        /// Number of values of the input tensor.
        want: usize,
    },
    /// The workspace belongs to an engine of another network or kernel.
    #[error("the workspace was made by another engine")]
    Workspace,
}
