"""The real engines to develop and test against, without containers: OpenSearch with k-NN and DynamoDB Local. Maven
fetches them; they run here, on free ports, for as long as they are needed.
"""
