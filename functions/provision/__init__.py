"""Telling the OpenSearch domain of the stack who may do what, when CloudFormation asks for it."""
