//! What the operator is told.

/// What the operator is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The image of the workloads.
    pub image: String,
    /// The namespaces that are looked after; the whole cluster when there is none.
    pub namespaces: Vec<String>,
    /// The domain of the cluster's Services.
    pub domain: String,
    /// The address of the KEDA HTTP add-on's interceptor.
    pub keda_http: String,
    /// How many objects are looked at at the same time.
    pub workers: usize,
    /// Who this process is, among others like it.
    pub identity: String,
    /// Where the lease is that one of several operators holds; without it, there is only one.
    pub lease: Option<LeaseName>,
}

/// A Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseName {
    pub namespace: String,
    pub name: String,
}
