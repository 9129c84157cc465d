//! Service traffic: Services and EndpointSlices in, packet filter rules out.
