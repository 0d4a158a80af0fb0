namespace VhdCore.Tests.Tidy;

/// <summary>Each rule bites on a source made up to break it, and lets its nearest decent neighbour pass.</summary>
public sealed class TidyRulesTests
{
    private static readonly IReadOnlySet<string> FormatsTypes = new HashSet<string> { "ImageFormat", "FormatDetector" };

    [Theory]
    [InlineData("src/VhdCore/Layers/A.cs", "using VhdCore.Devices;")]
    [InlineData("src/VhdCore/Layers/A.cs", "using static VhdCore.Disks.VirtualDisk;")]
    [InlineData("src/VhdCore/Layers/A.cs", "using Disk = VhdCore.Disks.VirtualDisk;")]
    [InlineData("src/VhdCore/Storage/A.cs", "    private global::VhdCore.Layers.DiskExtent _extent;")]
    [InlineData("src/VhdCore/Storage/Linux/A.cs", "using VhdCore.Layers;")]
    [InlineData("src/VhdCore/Raw/A.cs", "using VhdCore.Vhd;")]
    [InlineData("src/VhdCore/Primitives/A.cs", "using VhdCore.Errors;")]
    [InlineData("src/VhdCore/Layers/A.cs", "using VhdCore.Formats;")]
    [InlineData("src/VhdCore/Vhd/A.cs", "    var format = FormatDetector.Detect(storage);")]
    [InlineData("src/VhdCore/Disks/A.cs", "using VhdCore.Cellar;")]
    [InlineData("src/VhdCore/Cellar/A.cs", "")]
    [InlineData("src/VhdCore/A.cs", "")]
    public void A_floor_that_points_up_or_sideways_is_found(string name, string text) =>
        Assert.Single(FloorRule.Check(new SourceText(name, text), FormatsTypes));

    [Theory]
    [InlineData("src/VhdCore/Layers/A.cs", "using VhdCore.Storage;\nusing VhdCore.Errors;")]
    [InlineData("src/VhdCore/Storage/A.cs", "using VhdCore.Storage.Linux;")]
    [InlineData("src/VhdCore/Vhd/A.cs", "using VhdCore.Formats;\nprivate ImageFormat _format;")]
    [InlineData("src/VhdCore/Storage/A.cs", "// VhdCore.Disks says so")]
    [InlineData("src/VhdCore/Storage/A.cs", "    var text = \"VhdCore.Disks\";")]
    [InlineData("src/VhdCore/Vhd/A.cs", "/// <summary>What FormatDetector found.</summary>")]
    public void A_floor_that_points_down_is_let_pass(string name, string text) =>
        Assert.Empty(FloorRule.Check(new SourceText(name, text), FormatsTypes));

    [Fact]
    public void Declared_types_are_found_whatever_their_kind() => Assert.Equal(
        ["A", "B", "C", "D", "E"],
        FloorRule.DeclaredTypes([new SourceText("x", """
            public sealed class A { }
            internal readonly record struct B(int X);
            public enum C { }
            internal static partial class D { }
            public interface E { }
            """)]).Order());

    [Theory]
    [InlineData("src/VhdCore/Vhd/A.cs", "namespace VhdCore.Vhdx;")]
    [InlineData("src/VhdCore/Vhd/A.cs", "namespace VhdCore;")]
    [InlineData("src/VhdCli/A.cs", "namespace VhdKit;")]
    [InlineData("tests/VhdCore.Tests/Vhd/A.cs", "namespace VhdCore.Vhd;")]
    [InlineData("tests/VhdCore.Tests/Vhd/A.cs", "internal class A;")]
    public void A_namespace_other_than_the_folder_s_is_found(string name, string text) =>
        Assert.Single(TidyRules.NamespaceMatchesFolder(new SourceText(name, text)));

    [Theory]
    [InlineData("src/VhdCore/Vhd/A.cs", "namespace VhdCore.Vhd;")]
    [InlineData("src/VhdCli/A.cs", "namespace VhdCli;")]
    [InlineData("tests/VhdCore.Tests/Vhd/A.cs", "namespace VhdCore.Tests.Vhd;")]
    [InlineData("src/VhdCli/A.cs", "[assembly: CLSCompliant(false)]")]
    public void A_namespace_that_is_the_folder_s_is_let_pass(string name, string text) =>
        Assert.Empty(TidyRules.NamespaceMatchesFolder(new SourceText(name, text)));

    [Fact]
    public void Both_ends_of_a_region_are_found() =>
        Assert.Equal(2, TidyRules.NoRegion(Source("    #region Helpers\n    #endregion\n")).Count());

    [Fact]
    public void A_file_of_501_lines_is_found_and_one_of_500_is_not()
    {
        Assert.Single(TidyRules.NoLongFile(Source(string.Concat(Enumerable.Repeat("//\n", 501)))));
        Assert.Empty(TidyRules.NoLongFile(Source(string.Concat(Enumerable.Repeat("//\n", 500)))));
    }

    [Fact]
    public void Sleeping_is_found_in_code_but_not_in_comments()
    {
        Assert.Single(TidyRules.NoSleep(Source("    Thread.Sleep(10);")));
        Assert.Empty(TidyRules.NoSleep(Source("    // Thread.Sleep would not do.")));
    }

    [Fact]
    public void A_method_left_unwritten_is_found() =>
        Assert.Single(TidyRules.NothingLeftOut(Source("    void A() => throw new NotImplementedException();")));

    [Theory]
    [InlineData("// TODO")]
    [InlineData("// TODO: later.")]
    [InlineData("// FIXME this is broken somehow today.")]
    [InlineData("// TODO: measure this on a big machine")]
    public void A_to_do_that_is_no_sentence_is_found(string line) => Assert.Single(TidyRules.NoBareToDo(Source(line)));

    [Fact]
    public void A_to_do_that_is_a_sentence_is_let_pass() =>
        Assert.Empty(TidyRules.NoBareToDo(Source("// TODO: read both headers once Hyper-V writes them apart.")));

    [Theory]
    [InlineData("var path = \"/home/somebody/disk.vhd\";")]
    [InlineData("cd /root/tree")]
    [InlineData(@"var path = ""C:\\Users\\somebody"";")]
    public void A_path_of_a_machine_is_found(string line) => Assert.Single(TidyRules.NoMachinePath(Source(line)));

    [Theory]
    [InlineData("samples/home/disk.vhd")]
    [InlineData("https://example.org/home/")]
    public void A_path_inside_something_else_is_let_pass(string line) => Assert.Empty(TidyRules.NoMachinePath(Source(line)));

    private static SourceText Source(string text) => new("src/VhdCore/Vhd/A.cs", text);
}
