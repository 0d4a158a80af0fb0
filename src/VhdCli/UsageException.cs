namespace VhdCli;

/// <summary>The command line does not make sense: shown with the verb's help.</summary>
internal sealed class UsageException(string message) : Exception(message);
