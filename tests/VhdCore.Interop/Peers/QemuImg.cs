using System.Globalization;
using System.Text.Json;
using VhdCore.Testing;

namespace VhdCore.Interop.Peers;

/// <summary>qemu-img on VHDs. It reads the copy of the footer at 0, whole blocks whatever their bitmaps say, and never a parent.</summary>
internal static class QemuImg
{
    /// <summary>Skips the calling test where qemu-img is missing.</summary>
    public static void Require() => Tools.Require("qemu-img");

    public static ToolResult Run(params string[] arguments) => Tools.Run("qemu-img", arguments, Patience.Hang).EnsureSuccess();

    /// <summary>Bytes of virtual disk, as qemu-img sees them.</summary>
    public static long VirtualSize(string image)
    {
        using var info = JsonDocument.Parse(Run("info", "-f", "vpc", "--output=json", image).Output);
        return info.RootElement.GetProperty("virtual-size").GetInt64();
    }

    /// <summary>Whether qemu-img finds that two images have the same content; sizes may differ by zeros at the end.</summary>
    public static void AssertSameContent(string vhd, string raw)
    {
        var result = Tools.Run("qemu-img", ["compare", "-f", "vpc", "-F", "raw", vhd, raw], Patience.Hang);
        Assert.True(result.ExitCode == 0, $"{result.CommandLine}\n{result.Output}{result.Error}");
    }

    /// <summary>The major version.</summary>
    public static int Version()
    {
        var text = Run("--version").Output;
        var number = text.Split("version ", 2)[1].Split('.', 2)[0];
        return int.Parse(number, CultureInfo.InvariantCulture);
    }
}
