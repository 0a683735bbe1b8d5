"""The constructs and functions of the public API, on AWS CDK."""
