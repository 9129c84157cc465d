//! What a pod finds in its containers: volumes, environment variables, managed files.
