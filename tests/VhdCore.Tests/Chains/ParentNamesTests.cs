using VhdCore.Chains;
using VhdCore.Testing;

namespace VhdCore.Tests.Chains;

public sealed class ParentNamesTests
{
    private const string Child = "/pool/leaf/child.vhd";

    [Theory]
    [InlineData("file://./base.vhd", "/pool/leaf/base.vhd")]
    [InlineData("file:///images/base.vhd", "/images/base.vhd|/pool/leaf/images/base.vhd|/pool/leaf/base.vhd")]
    [InlineData("file://localhost/images/base.vhd", "/images/base.vhd|/pool/leaf/images/base.vhd|/pool/leaf/base.vhd")]
    [InlineData("file://./my%20base.vhd", "/pool/leaf/my%20base.vhd|/pool/leaf/my base.vhd")]
    [InlineData(@".\base.vhd", "/pool/leaf/base.vhd")]
    [InlineData(@"..\parents\base.vhd", "/pool/parents/base.vhd|/pool/leaf/base.vhd")]
    [InlineData(@"C:\vm\base.vhd", "/vm/base.vhd|/pool/leaf/vm/base.vhd|/pool/leaf/base.vhd")]
    [InlineData(@"c:base.vhd", "/pool/leaf/base.vhd")]
    [InlineData(@"\\?\C:\vm\base.vhd", "/vm/base.vhd|/pool/leaf/vm/base.vhd|/pool/leaf/base.vhd")]
    [InlineData(@"\\server\share\base.vhd", "/server/share/base.vhd|/pool/leaf/server/share/base.vhd|/pool/leaf/base.vhd")]
    [InlineData(@"\\?\UNC\server\share\base.vhd", "/server/share/base.vhd|/pool/leaf/server/share/base.vhd|/pool/leaf/base.vhd")]
    [InlineData("/images/base.vhd", "/images/base.vhd|/pool/leaf/images/base.vhd|/pool/leaf/base.vhd")]
    [InlineData("base.vhd", "/pool/leaf/base.vhd")]
    [InlineData("", "")]
    [InlineData(".", "")]
    [InlineData("..", "")]
    [InlineData("base\0.vhd", "")]
    [InlineData(@"/images\old/base.vhd", @"/images\old/base.vhd|/images/old/base.vhd|/pool/leaf/images/old/base.vhd|/pool/leaf/base.vhd")]
    public void A_name_is_tried_as_it_is_then_below_then_beside_the_child(string name, string expected)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows understands drives and backslashes itself");
        Assert.Equal(expected, string.Join('|', ParentNames.Candidates(Child, [name], new MemoryStorageResolver())));
    }

    [Theory]
    [InlineData(@"C:\vm\base.vhdx", "/pool/vm/base.vhdx|/vm/base.vhdx")]
    [InlineData(@"\\?\c:\base.vhdx", "/pool/base.vhdx|/base.vhdx")]
    [InlineData(@"\\server\share\vm\base.vhdx", "/pool/vm/base.vhdx|/vm/base.vhdx")]
    [InlineData(@"\\?\UNC\server\share\vm\base.vhdx", "/pool/vm/base.vhdx|/vm/base.vhdx")]
    [InlineData(@"\\?\server\share\vm\base.vhdx", "/pool/vm/base.vhdx|/vm/base.vhdx")]
    [InlineData(@"\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\vm\base.vhdx", "/pool/vm/base.vhdx|/vm/base.vhdx")]
    [InlineData(@"\\server\share", "")]
    [InlineData(@"C:\vm\..\..\etc\base.vhdx", "")]
    [InlineData(@".\base.vhdx", "")]
    [InlineData(@"..\vm\base.vhdx", "")]
    [InlineData("/images/base.vhdx", "")]
    [InlineData("C:", "")]
    [InlineData("", "")]
    public void What_a_drive_or_share_held_is_looked_for_below_each_folder_above_the_child(string name, string expected)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows understands drives and shares itself");
        Assert.Equal(expected, string.Join('|', ParentNames.WiderCandidates(Child, [name], root: null, new MemoryStorageResolver())));
    }

    [Theory]
    [InlineData(@"\\server\share\vm\base.vhdx", "/pool/vm/base.vhdx|/vm/base.vhdx|/images/vm/base.vhdx|/images/base.vhdx")]
    [InlineData(@"..\vm\base.vhdx", "/images/base.vhdx")]
    [InlineData(@"..", "")]
    public void A_folder_that_the_caller_gives_is_looked_into_by_path_and_by_name(string name, string expected)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows understands drives and shares itself");
        Assert.Equal(expected, string.Join('|', ParentNames.WiderCandidates(Child, [name], "/images", new MemoryStorageResolver())));
        Assert.Equal(expected.Replace("/images", "", StringComparison.Ordinal), string.Join('|', ParentNames.WiderCandidates(Child, [name], "/", new MemoryStorageResolver())));
    }

    [Fact]
    public void The_headers_name_is_read_like_a_locators()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows understands drives and backslashes itself");
        Assert.Equal(
            ["/vm/base.vhd", "/pool/leaf/vm/base.vhd", "/pool/leaf/base.vhd"],
            ParentNames.Candidates(Child, [@"C:\vm\base.vhd"], new MemoryStorageResolver()));
    }

    [Fact]
    public void Locators_come_in_the_files_order_then_the_headers_name_and_none_twice()
    {
        string[] names = ["file://./one.vhd", @".\two.vhd", @".\one.vhd", "three.vhd"];
        Assert.Equal(
            ["/pool/leaf/one.vhd", "/pool/leaf/two.vhd", "/pool/leaf/three.vhd"],
            ParentNames.Candidates(Child, names, new MemoryStorageResolver()));
    }

    [Fact]
    public void A_name_longer_than_any_path_is_not_tried()
    {
        Assert.Empty(ParentNames.Candidates(Child, [string.Concat(Enumerable.Repeat("a/", 30_000))], new MemoryStorageResolver()));
    }

    [Fact]
    public void What_a_terminal_would_obey_does_not_reach_a_message()
    {
        Assert.Equal(new string('x', 256) + "\u2026", ParentNames.Printable(new string('x', 60_000)));
        Assert.Equal("a\uFFFD[31mb\uFFFD\uFFFDc\U0001F600", ParentNames.Printable("a\u001B[31mb\n\uD800c\U0001F600"));
    }
}
