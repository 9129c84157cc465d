//! The cluster's DNS: names of Services and pods, answered from what the API says.
