//! What controllers, the scheduler and the node agent have in common as clients of the Kubernetes API: connections,
//! informers, work queues, leader election, events.
