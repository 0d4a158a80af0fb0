using System.CommandLine;

namespace VhdCli.Commands;

/// <summary>qemu-img's cache modes. They are checked and otherwise ignored: what is written is flushed once, at the end, whatever they say.</summary>
internal static class CacheModes
{
    private static readonly string[] Words = ["none", "writeback", "writethrough", "directsync", "unsafe"];

    public static Option<string?> Option(string name, string description) => Values.WordOption(description, "CACHE", Words, name);
}
