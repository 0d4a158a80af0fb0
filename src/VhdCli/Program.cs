using System.CommandLine;

namespace VhdCli;

/// <summary>The command tree.</summary>
internal static class Program
{
    private static int Main(string[] args) =>
        new RootCommand("Reads, writes, converts and checks virtual hard disk images.").Parse(args).Invoke();
}
