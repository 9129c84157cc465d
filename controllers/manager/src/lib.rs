//! The controllers: each watches objects, plans purely, and acts through the API with an identity of its own.
