//! A tree of sums: which node is the sum of which.

use super::{HierarchyError, NODES_MAX};

/// A tree whose every inner node is the sum of its children. Node 0 is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The children of each node, by rising number; empty for a leaf.
    children: Vec<Vec<usize>>,
    /// Every inner node, parents before their children.
    inner: Vec<usize>,
}

impl Tree {
    /// A tree from each node's parent: that of node 0 is not read, every other needs one.
    ///
    /// # Errors
    /// [`HierarchyError`] for fewer than two or more than [`NODES_MAX`] nodes, and for parents that do not lead to
    /// node 0.
    pub fn new(parents: &[Option<usize>]) -> Result<Self, HierarchyError> {
        let nodes = parents.len();
        if nodes < 2 {
            return Err(HierarchyError::Empty { nodes });
        }
        if nodes > NODES_MAX {
            return Err(HierarchyError::TooMany { nodes });
        }
        let mut children = vec![Vec::new(); nodes];
        for (node, parent) in parents.iter().enumerate().skip(1) {
            let parent = parent.filter(|&p| p < nodes).ok_or(HierarchyError::NotATree { node })?;
            children[parent].push(node);
        }
        // From the root down: what a circle holds is never reached.
        let mut order = vec![0];
        let mut next = 0;
        while let Some(&node) = order.get(next) {
            order.extend(&children[node]);
            next += 1;
        }
        if let Some(node) = (0..nodes).find(|node| !order.contains(node)) {
            return Err(HierarchyError::NotATree { node });
        }
        order.retain(|&node| !children[node].is_empty());
        Ok(Self { children, inner: order })
    }

    /// How many nodes there are, the root and the leaves included.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.children.len()
    }

    /// The children of a node, by rising number; empty for a leaf.
    #[must_use]
    pub fn children(&self, node: usize) -> &[usize] {
        &self.children[node]
    }

    /// Every inner node, parents before their children.
    #[must_use]
    pub fn inner(&self) -> &[usize] {
        &self.inner
    }

    /// Every leaf, by rising number.
    pub fn leaves(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes()).filter(|&node| self.children[node].is_empty())
    }

    /// The summing matrix `S`: one row a node, one column a leaf, 1 where the node holds the leaf.
    #[must_use]
    pub fn summing_matrix(&self) -> Vec<Vec<f64>> {
        let leaves: Vec<usize> = self.leaves().collect();
        let mut rows = vec![vec![0.0; leaves.len()]; self.nodes()];
        for (column, &leaf) in leaves.iter().enumerate() {
            let mut values = vec![0.0; self.nodes()];
            values[leaf] = 1.0;
            self.sum_up(&mut values);
            rows.iter_mut().zip(values).for_each(|(row, value)| row[column] = value);
        }
        rows
    }

    /// Makes every inner node the sum of its children, added by rising number: then the values add up to the last bit.
    pub fn sum_up(&self, values: &mut [f64]) {
        for &node in self.inner.iter().rev() {
            values[node] = self.children[node].iter().map(|&child| values[child]).sum();
        }
    }

    /// By how much each inner node, in the order of [`Tree::inner`], exceeds the sum of its children.
    #[must_use]
    pub fn gaps(&self, values: &[f64]) -> Vec<f64> {
        let gap = |&node: &usize| values[node] - self.children[node].iter().map(|&c| values[c]).sum::<f64>();
        self.inner.iter().map(gap).collect()
    }

    /// Makes coherent values non-negative and keeps them coherent: leaves below zero become zero, and the others give
    /// up what that would add to the root, in proportion.
    ///
    /// A heuristic in the manner of "set negative to zero" (Di Fonzo and Girolimetto, Solar Energy 251 (2023)); the
    /// exact optimum would need a quadratic programme for every step.
    pub fn clip(&self, values: &mut [f64]) {
        if self.leaves().all(|leaf| values[leaf] >= 0.0) {
            return;
        }
        let total = self.leaves().map(|leaf| values[leaf]).sum::<f64>().max(0.0);
        let positive = self.leaves().map(|leaf| values[leaf].max(0.0)).sum::<f64>();
        let scale = if positive > 0.0 { total / positive } else { 0.0 };
        let leaves: Vec<usize> = self.leaves().collect();
        leaves.into_iter().for_each(|leaf| values[leaf] = values[leaf].max(0.0) * scale);
        self.sum_up(values);
    }
}
