//! Past errors of all nodes together, and their shrunk covariance.

use super::HierarchyError;

/// Errors (actual minus forecast) of every node at the same past steps, in the series' unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors {
    nodes: usize,
    /// Row-major: one row a step, one column a node.
    values: Vec<f64>,
}

/// Weights from past errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Covariance {
    /// Row-major, nodes by nodes, in squared units.
    pub values: Vec<f64>,
    /// How far the correlations were shrunk to none: 0 (as measured) to 1 (diagonal).
    pub shrinkage: f64,
}

impl Errors {
    /// Errors of `nodes` nodes, one row a step.
    ///
    /// # Errors
    /// [`HierarchyError::Shape`] for a row of another length, [`HierarchyError::NotFinite`] for NaN or infinity.
    pub fn new(nodes: usize, rows: &[Vec<f64>]) -> Result<Self, HierarchyError> {
        let mut values = Vec::with_capacity(rows.len() * nodes);
        for row in rows {
            if row.len() != nodes {
                return Err(HierarchyError::Shape { expected: nodes, found: row.len() });
            }
            if let Some(node) = row.iter().position(|value| !value.is_finite()) {
                return Err(HierarchyError::NotFinite { node });
            }
            values.extend(row);
        }
        Ok(Self { nodes, values })
    }

    /// How many rows it takes to weigh this many nodes: twice as many, and thirty at least.
    #[must_use]
    pub fn rows_needed(nodes: usize) -> usize {
        (2 * nodes).max(30)
    }

    /// How many steps.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.nodes.max(1)
    }

    /// How many nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// The error of a node at a step.
    #[must_use]
    pub fn at(&self, row: usize, node: usize) -> f64 {
        self.values[row * self.nodes + node]
    }

    /// The mean square of each node's error: its variance about zero, for a bias is an error too.
    ///
    /// # Errors
    /// [`HierarchyError::TooFewErrors`] below [`Errors::rows_needed`].
    pub fn variances(&self) -> Result<Vec<f64>, HierarchyError> {
        let (rows, nodes, needed) = (self.rows(), self.nodes, Self::rows_needed(self.nodes));
        if rows < needed {
            return Err(HierarchyError::TooFewErrors { rows, nodes, needed });
        }
        let square = |node: usize| (0..rows).map(|row| self.at(row, node).powi(2)).sum::<f64>();
        Ok((0..nodes).map(|node| square(node) / rows as f64).collect())
    }

    /// The covariance about zero, its correlations shrunk to none as far as they are uncertain.
    ///
    /// Schaefer and Strimmer, Statistical Applications in Genetics and Molecular Biology 4 (2005), with the diagonal
    /// as target, as the MinT authors use it: `lambda = sum of Var(r_ij) / sum of r_ij^2` over pairs of nodes. A
    /// node that never errs has no correlations.
    ///
    /// # Errors
    /// As [`Errors::variances`].
    pub fn shrunk_covariance(&self) -> Result<Covariance, HierarchyError> {
        let variances = self.variances()?;
        let (rows, nodes) = (self.rows(), self.nodes);
        let scales: Vec<f64> =
            variances.iter().map(|&v| if v > 0.0 { 1.0 / v.sqrt() } else { 0.0 }).collect();
        let mut correlations = vec![0.0; nodes * nodes];
        let (mut uncertain, mut strength) = (0.0, 0.0);
        let n = rows as f64;
        for i in 0..nodes {
            for j in 0..i {
                let product = |row: usize| self.at(row, i) * scales[i] * self.at(row, j) * scales[j];
                let (sum, squares) = (0..rows).map(product).fold((0.0, 0.0), |(s, q), p| (s + p, q + p * p));
                let r = sum / n;
                uncertain += (squares - sum * sum / n) / (n * (n - 1.0));
                strength += r * r;
                correlations[i * nodes + j] = r;
                correlations[j * nodes + i] = r;
            }
        }
        let shrinkage = if strength > 0.0 { (uncertain / strength).clamp(0.0, 1.0) } else { 1.0 };
        let value = |i: usize, j: usize| match i == j {
            true => variances[i],
            false => (1.0 - shrinkage) * correlations[i * nodes + j] * (variances[i] * variances[j]).sqrt(),
        };
        let values = (0..nodes * nodes).map(|at| value(at / nodes, at % nodes)).collect();
        Ok(Covariance { values, shrinkage })
    }
}
