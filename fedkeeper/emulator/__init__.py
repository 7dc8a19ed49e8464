"""The emulator: the public APIs of OpenWhisk, Google Cloud Functions and AWS Lambda on loopback, over the local platform.

wsk, boto3, aws, google-cloud-functions, our adapters --HTTP--> app -> <kind>_api.routes(Api) -> Platform -> local platform
"""
