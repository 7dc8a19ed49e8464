"""What a function is made of: this package travels in every zip, with just the modules its role imports.

    shim (provider) -> handler.handle(params, body) -> runtime.<role>.handle(Context, params, body) -> store / reply

It knows stores, strategies and the codec; never deploy, train or the CLI.
"""
